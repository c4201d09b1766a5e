-- Stripe. The key is the whole text whsec_…; of the header only v1 counts, as v0 is signed with a published secret.
-- An order is named by the shop in the payment's metadata, as order_id or order. https://docs.stripe.com/webhooks
provider "stripe" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:Stripe-Signature", item = ",", pair = "=", take = "v1",
  ts = "sig:t", tol = "5m", signed = "{ts}.{body}",
  event = "json:type", delivery = "json:id", id_in_mac = true, retry = "auto",

  fields = {
    payment  = "data.object.payment_intent|data.object.id",
    order    = "data.object.metadata.order_id|data.object.metadata.order",
    amount   = "data.object.amount",
    currency = "lower:data.object.currency",
    customer = "data.object.customer",
    live     = "livemode",
  },

  events = {
    ["payment_intent.created"]        = { "payment.created", payment = "data.object.id" },
    ["payment_intent.processing"]     = { "payment.processing", payment = "data.object.id" },
    ["payment_intent.succeeded"]      = { "payment.succeeded", payment = "data.object.id", amount = "data.object.amount_received" },
    ["payment_intent.payment_failed"] = { "payment.failed", payment = "data.object.id", message = "data.object.last_payment_error.message" },
    ["payment_intent.canceled"]       = { "payment.canceled", payment = "data.object.id" },
    ["charge.refunded"]               = { "payment.refunded", amount = "data.object.amount_refunded" },
    ["charge.dispute.created"]        = { "payment.disputed" },
  },
}
