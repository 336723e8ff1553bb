"""The official Python client of Stripe, unchanged, against the stand-in.

STRIPE_BASE_URL        where the stand-in is, such as http://127.0.0.1:12111
STRIPE_KEY             its secret key
STRIPE_WEBHOOK_PORT    the port of this machine where it delivers events
STRIPE_WEBHOOK_SECRET  with what it signs them

Prints a line for each test and ends with 0 if all passed.
"""

import http.client
import http.server
import os
import queue
import sys
import threading
import urllib.parse

import runner
import stripe

BASE_URL = os.environ["STRIPE_BASE_URL"].rstrip("/")
SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
SUCCESS = "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}"
CANCEL = "http://127.0.0.1:1/back"
# Seconds to wait for a delivery. A busy machine is slow.
PATIENCE = 30

client = stripe.StripeClient(os.environ["STRIPE_KEY"], base_addresses={"api": BASE_URL}, max_network_retries=2)
delivered = queue.Queue()


class Shop(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        delivered.put((body, self.headers["Stripe-Signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def event_of(kind, object_id):
    """The next delivered event of this kind about this object, checked by the client's own verifier."""
    while True:
        body, signature = delivered.get(timeout=PATIENCE)
        event = stripe.Webhook.construct_event(body, signature, SECRET)
        if event.type == kind and event.data.object.id == object_id:
            return event, body, signature


def checkout(**more):
    item = {"currency": "usd", "unit_amount": 2110, "product_data": {"name": "Credits"}}
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            "allowed_payment_method_types": ["card"],
            "line_items": [{"quantity": 1, "price_data": item}],
            **more,
        }
    )


def page(method, path, fields=None):
    host = urllib.parse.urlsplit(BASE_URL).netloc
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, urllib.parse.urlencode(fields or {}), headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def click(session, how):
    return page("POST", urllib.parse.urlsplit(session.url).path, {"how": how, "method": "card"})


def pays_on_the_hosted_page():
    customer = client.v1.customers.create({"email": "a@example.com", "metadata": {"org": "1"}})
    session = checkout(customer=customer.id, payment_intent_data={"metadata": {"topup": "1"}})
    assert session.payment_intent is None and session.status == "open", session
    answer, text = page("GET", urllib.parse.urlsplit(session.url).path)
    assert answer.status == 200 and "21.10 USD" in text and "no money moves" in text, text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "form-action 'self' http://127.0.0.1:1" in policy, policy
    answer, text = click(session, "decline")
    assert answer.status == 402 and "declined" in text, "a decline stays on the page"
    answer, _ = click(session, "succeed")
    assert answer.status == 303, answer.status
    assert answer.headers["Location"] == SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id)
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert paid.payment_status == "paid" and paid.payment_intent.metadata["topup"] == "1", paid
    assert paid.payment_intent.latest_charge.amount == 2110, paid
    event, body, signature = event_of("checkout.session.completed", session.id)
    assert event.api_version == "2026-09-30.endive", event.api_version
    try:
        stripe.Webhook.construct_event(body.replace(b"2110", b"9999"), signature, SECRET)
    except stripe.SignatureVerificationError:
        return
    raise AssertionError("a changed body passed")


def goes_back_on_cancel():
    session = checkout()
    answer, _ = click(session, "cancel")
    assert answer.status == 303 and answer.headers["Location"] == CANCEL
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    event_of("checkout.session.expired", session.id)


def payment(method="pm_card_visa", **options):
    wish = {"amount": 500, "currency": "usd", "payment_method": method, "confirm": True, "off_session": True}
    return client.v1.payment_intents.create(wish, options or None)


def refunds():
    paid = payment()
    refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 200, "metadata": {"why": "asked"}})
    assert refund.status == "succeeded" and refund.amount == 200, refund
    event_of("charge.refunded", paid.latest_charge)
    try:
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 301})
    except stripe.InvalidRequestError as error:
        assert error.http_status == 400 and error.param == "amount", error
    else:
        raise AssertionError("more was refunded than was paid")


def raises_card_errors():
    names = {
        "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
        "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
        "pm_card_authenticationRequired": ("authentication_required", "authentication_required"),
    }
    for method, (code, decline_code) in names.items():
        try:
            payment(method)
        except stripe.CardError as error:
            assert error.http_status == 402 and error.code == code, error
            assert error.error.decline_code == decline_code, error.error
            assert error.error.payment_intent.status == "requires_payment_method", error.error
        else:
            raise AssertionError(f"{method} was charged")


def replays_and_refuses_keys():
    first, second = payment(idempotency_key="py-1"), payment(idempotency_key="py-1")
    assert first.id == second.id, "paid once"
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    try:
        payment("pm_card_mastercard", idempotency_key="py-1")
    except stripe.IdempotencyError as error:
        assert error.http_status == 400, error
    else:
        raise AssertionError("another request passed under the same key")


def pages_through_lists():
    made = [payment().id for _ in range(7)]
    listed = client.v1.payment_intents.list({"limit": 3})
    found = [intent.id for intent in listed.auto_paging_iter()]
    assert found[:7] == made[::-1], (found, made)
    assert len(found) == len(set(found)), "none twice"


def keeps_a_method_and_detaches_it():
    customer = client.v1.customers.create({"email": "b@example.com"})
    session = checkout(customer=customer.id, payment_intent_data={"setup_future_usage": "off_session"})
    click(session, "succeed")
    kept = client.v1.customers.payment_methods.list(customer.id, {"type": "card"}).data
    assert len(kept) == 1 and kept[0].card.last4 == "4242", kept
    wish = {"amount": 900, "currency": "usd", "customer": customer.id, "payment_method": kept[0].id}
    paid = client.v1.payment_intents.create({**wish, "off_session": True, "confirm": True})
    assert paid.status == "succeeded", paid
    client.v1.payment_methods.detach(kept[0].id)
    assert client.v1.payment_methods.list({"customer": customer.id}).data == []


def tells_wrong_keys_and_objects():
    wrong = stripe.StripeClient("sk_test_wrong", base_addresses={"api": BASE_URL})
    try:
        wrong.v1.balance.retrieve()
    except stripe.AuthenticationError as error:
        assert error.http_status == 401, error
    else:
        raise AssertionError("a wrong key was let in")
    try:
        client.v1.charges.retrieve("ch_none")
    except stripe.InvalidRequestError as error:
        assert error.http_status == 404 and error.code == "resource_missing", error
    else:
        raise AssertionError("a charge that is none was found")


TESTS = [
    pays_on_the_hosted_page,
    goes_back_on_cancel,
    refunds,
    raises_card_errors,
    replays_and_refuses_keys,
    pages_through_lists,
    keeps_a_method_and_detaches_it,
    tells_wrong_keys_and_objects,
]


def main():
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["STRIPE_WEBHOOK_PORT"])), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    return runner.run(TESTS)


if __name__ == "__main__":
    sys.exit(main())
