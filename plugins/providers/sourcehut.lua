-- sourcehut, the REST kind: it signs with its own key, the secret of the source is that public key in base64.
provider "sourcehut" {
  kind = "ed25519", enc = "base64", key = "base64",
  sig = "header:X-Payload-Signature", msgid = "header:X-Payload-Nonce", signed = "{body}{msgid}",
  event = "header:X-Webhook-Event", delivery = "header:X-Webhook-Delivery", id_in_mac = false, keep = "7d",
}
