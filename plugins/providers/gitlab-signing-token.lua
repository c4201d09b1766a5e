-- GitLab 19.0 and newer with a signing token (whsec_…): Standard Webhooks, over GitLab's own events.
-- https://docs.gitlab.com/user/project/integrations/webhooks/
provider "gitlab-signing-token" {
  kind = "hmac", hash = "sha256", enc = "base64", key = "base64", strip = "whsec_",
  sig = "header:webhook-signature", item = " ", pair = ",", take = "v1",
  ts = "header:webhook-timestamp", tol = "5m", msgid = "header:webhook-id", signed = "{msgid}.{ts}.{body}",
  event = "json:object_kind|header:X-Gitlab-Event", action = "json:object_attributes.action|json:action",
  delivery = "header:webhook-id", id_in_mac = true,
  deadline = "10s", retry = "none",
  like = "gitlab",
}
