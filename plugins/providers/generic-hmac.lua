-- For senders of one's own: HMAC-SHA256 of the body in hex.
provider "generic-hmac" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Signature", signed = "{body}",
  event = "header:X-Event", delivery = "header:X-Delivery|digest", id_in_mac = false,
}
