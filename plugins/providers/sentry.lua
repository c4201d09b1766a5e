-- Sentry's integration platform; the secret is the client secret. It waits one second.
provider "sentry" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:Sentry-Hook-Signature", signed = "{body}",
  event = "header:Sentry-Hook-Resource", action = "json:action", delivery = "header:Request-ID", id_in_mac = false,
  deadline = "1s", retry = "none",
}
