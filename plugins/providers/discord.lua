-- Discord's webhook events; the secret of the source is the application's public key in hex. Discord sends wrong
-- signatures on purpose, and wants 401 for them.
provider "discord" {
  kind = "ed25519", enc = "hex", key = "hex",
  sig = "header:X-Signature-Ed25519", ts = "header:X-Signature-Timestamp", tol = "5m", signed = "{ts}{body}",
  event = "json:event.type|json:type", delivery = "digest", id_in_mac = true,
  hello = { when = "json:type", is = "0", status = 204 },
  answer = 204, deadline = "3s", retry = "auto",
}
