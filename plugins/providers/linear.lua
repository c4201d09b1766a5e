-- Linear. The timestamp stands in the signed body.
provider "linear" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:Linear-Signature", ts = "json#:webhookTimestamp", ts_unit = "ms", tol = "60s", signed = "{body}",
  event = "header:Linear-Event|json:type", action = "json:action", delivery = "header:Linear-Delivery", id_in_mac = false,
  deadline = "5s", retry = "auto",
}
