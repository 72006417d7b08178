"""How such code is tested: jobs are made in place, at the commit, without a daemon."""

from django.test import TestCase, override_settings

from orders.models import Order


@override_settings(JOBCTL_ALWAYS_EAGER=True, JOBCTL_EAGER_PROPAGATES=True)
class OrderTests(TestCase):
    """Requests, and what they have done."""

    def test_an_order_is_confirmed(self) -> None:
        """The job is made when the transaction of the request is committed."""
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            wanted = {"book": "Emma", "copies": 2}
            answer = self.client.post("/orders", wanted, content_type="application/json")
        self.assertEqual(answer.status_code, 201)
        self.assertEqual(len(callbacks), 1)
        self.assertIsNotNone(Order.objects.get().confirmed_at)

    def test_an_order_that_is_refused_leaves_no_job(self) -> None:
        """Nothing is committed, so nothing is submitted."""
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            wanted = {"book": "Emma", "copies": 1000}
            answer = self.client.post("/orders", wanted, content_type="application/json")
        self.assertEqual(answer.status_code, 409)
        self.assertEqual(callbacks, [])
        self.assertFalse(Order.objects.exists())
