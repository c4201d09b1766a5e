-- Shopify; the secret is the app's. After eight failures in four hours it deletes the subscription.
provider "shopify" {
  kind = "hmac", hash = "sha256", enc = "base64",
  sig = "header:X-Shopify-Hmac-Sha256|header:shopify-hmac-sha256", signed = "{body}",
  event = "header:X-Shopify-Topic|header:shopify-topic",
  delivery = "header:X-Shopify-Webhook-Id|header:shopify-webhook-id", id_in_mac = false,
  deadline = "5s", retry = "auto",
}
