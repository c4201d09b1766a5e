-- Razorpay. A retry is signed with the secret of the event's own time: keep the old one in force for a day, or for fifteen
-- where replays are asked for. Nothing in the payload tells live from test, so there is no `live`: use a source for each.
provider "razorpay" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Razorpay-Signature", signed = "{body}",
  event = "json:event", delivery = "header:X-Razorpay-Event-Id", id_in_mac = false,
  deadline = "5s", retry = "auto",

  fields = {
    payment  = "payload.payment.entity.id",
    order    = "payload.payment.entity.order_id|payload.order.entity.id",
    amount   = "payload.payment.entity.amount",
    currency = "lower:payload.payment.entity.currency",
    customer = "payload.payment.entity.customer_id|payload.payment.entity.email",
  },

  events = {
    ["payment.authorized"] = "payment.authorized",
    ["payment.captured"]   = "payment.succeeded",
    ["payment.failed"]     = { "payment.failed", message = "payload.payment.entity.error_description" },
    ["refund.processed"]   = { "payment.refunded", amount = "payload.refund.entity.amount" },
    ["payment.dispute.created"] = "payment.disputed",
  },
}
