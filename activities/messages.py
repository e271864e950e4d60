"""Deliver one Send: plan, rules and claim in one transaction, then send, then settle (docs/explanation/delivery.md)."""

from activities.orders import SendOrder, SendVerdict

__all__ = ["SendOrder", "SendVerdict"]
