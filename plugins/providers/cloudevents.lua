-- CloudEvents over HTTP, binary and structured, with a bearer token, in the header or as access_token in the address. An
-- event's id is unique with its source only. Who asks by OPTIONS whether events may be sent shows the token too: put it into
-- the address that you register. https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md
provider "cloudevents" {
  kind = "token", sig = "header:Authorization|query:access_token", prefix = "Bearer ",
  event = "header:ce-type|json:type", id_in_mac = false, retry = "auto",
  delivery = { "header:ce-source|json:source", "header:ce-id|json:id" },
  hello = { method = "OPTIONS", when = "header:WebHook-Request-Origin", status = 200,
            headers = { ["WebHook-Allowed-Origin"] = "header:WebHook-Request-Origin", ["WebHook-Allowed-Rate"] = "const:*",
                        Allow = "const:POST" } },
}
