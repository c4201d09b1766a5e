-- Any sender that can set a header: Authorization: Bearer <the secret>.
provider "bearer" {
  kind = "token", sig = "header:Authorization", prefix = "Bearer ",
  event = "json:type|json:event|const:event", delivery = "header:Idempotency-Key|digest", id_in_mac = false,
}
