-- Svix: Standard Webhooks under its own header names, or, unbranded, under the standard's.
provider "svix" {
  kind = "hmac", hash = "sha256", enc = "base64", key = "base64", strip = "whsec_",
  sig = "header:svix-signature|header:webhook-signature", item = " ", pair = ",", take = "v1",
  ts = "header:svix-timestamp|header:webhook-timestamp", tol = "5m", msgid = "header:svix-id|header:webhook-id",
  signed = "{msgid}.{ts}.{body}",
  event = "json:type|json:event_type|const:event", delivery = "header:svix-id|header:webhook-id", id_in_mac = true,
  deadline = "15s", retry = "auto",
}
