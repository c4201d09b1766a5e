-- Slack's Events API and slash commands. The handshake is answered once its signature holds.
provider "slack" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Slack-Signature", pair = "=", take = "v0",
  ts = "header:X-Slack-Request-Timestamp", tol = "5m", payload = "form:payload", signed = "v0:{ts}:{body}",
  event = "json:event.type|json:type|json:command", delivery = "json:event_id|json:trigger_id", id_in_mac = true,
  hello = { when = "json:type", is = "url_verification", status = 200, answer = "json:challenge" },
  answer = 200, deadline = "3s", retry = "auto",
}
