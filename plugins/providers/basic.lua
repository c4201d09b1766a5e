-- Any sender that speaks HTTP Basic; the secret of the source is user:password.
provider "basic" {
  kind = "basic",
  event = "json:type|json:event|const:event", delivery = "header:Idempotency-Key|digest", id_in_mac = false,
}
