-- Standard Webhooks with a key pair: the secret of the source is the sender's public key (whpk_…).
provider "standard-webhooks-ed25519" {
  kind = "ed25519", enc = "base64", key = "base64", strip = "whpk_",
  sig = "header:webhook-signature", item = " ", pair = ",", take = "v1a",
  ts = "header:webhook-timestamp", tol = "5m", msgid = "header:webhook-id", signed = "{msgid}.{ts}.{body}",
  event = "json:type", delivery = "header:webhook-id", id_in_mac = true, deadline = "15s", retry = "auto",
}
