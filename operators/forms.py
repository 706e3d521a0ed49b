"""The forms around signing in, and of a resource's page."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """Name and password of an operator."""

    error_messages = {
        "invalid_login": "Name and password do not belong together, or the account is not an operator's.",
        "inactive": "Name and password do not belong together, or the account is not an operator's.",
    }

    def confirm_login_allowed(self, user: Any) -> None:
        """Operators only, and told the same as for a wrong password."""
        super().confirm_login_allowed(user)
        if not user.is_staff:
            raise self.get_invalid_login_error()


class CodeForm(forms.Form):
    """A code of the second factor."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "text",
                "autofocus": True,
                "spellcheck": "false",
            }
        ),
    )


class LimitForm(forms.Form):
    """One limit of a resource, until the end of a day (UTC)."""

    name = forms.CharField(max_length=60)
    value = forms.IntegerField(min_value=1, error_messages={"required": "Enter the new value."})
    until = forms.DateField(error_messages={"required": "Choose the last day."})
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Give a reason: it is kept in the audit."}
    )
