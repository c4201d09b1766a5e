-- Standard Webhooks with a shared secret (whsec_…). https://www.standardwebhooks.com
provider "standard-webhooks" {
  kind = "hmac", hash = "sha256", enc = "base64", key = "base64", strip = "whsec_",
  sig = "header:webhook-signature", item = " ", pair = ",", take = "v1",
  ts = "header:webhook-timestamp", tol = "5m", msgid = "header:webhook-id", signed = "{msgid}.{ts}.{body}",
  event = "json:type", delivery = "header:webhook-id", id_in_mac = true, deadline = "15s", retry = "auto",
}
