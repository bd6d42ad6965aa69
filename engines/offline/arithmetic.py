"""Sums: an exact little calculator over a parsed expression. Nothing is ever executed."""

from __future__ import annotations

import ast
import re
from decimal import Context, Decimal
from fractions import Fraction

MAX_CHARS = 200
MAX_BITS = 4096
MAX_EXPONENT = 1000
MAX_NODES = 200
SHOWN_DIGITS = 12

_ASKED = re.compile(
    r"(?:(?:what is|what's|whats|how much is|calculate|compute|evaluate|work out|solve)\b)\s*+(.*)", re.IGNORECASE
)
_WORDS = (
    (re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])"), lambda match: match[0].replace(",", "")),
    (re.compile(r"\bdivided by\b|\bover\b|÷", re.IGNORECASE), "/"),
    (re.compile(r"\bmultiplied by\b|\btimes\b|[×·]", re.IGNORECASE), "*"),
    (re.compile(r"(?<=[\d)])\s{0,9}x\s{0,9}(?=[\d(.-])", re.IGNORECASE), "*"),
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b|[−–]", re.IGNORECASE), "-"),
    (re.compile(r"\bto the power of\b|\^", re.IGNORECASE), "**"),
    (re.compile(r"\bsquared\b", re.IGNORECASE), "**2"),
    (re.compile(r"\bcubed\b", re.IGNORECASE), "**3"),
    (re.compile(r"\bmod(?:ulo)?\b", re.IGNORECASE), "%"),
    (re.compile(r"\bpercent\b", re.IGNORECASE), "%"),
    # "15% of 80" and "15%" are hundredths; "7 % 3" stays a remainder.
    (re.compile(r"(\d++(?:\.\d++)?|\.\d++)\s{0,9}%\s{0,9}of\b", re.IGNORECASE), r"(\1/100)*"),
    (re.compile(r"(\d++(?:\.\d++)?|\.\d++)\s{0,9}%(?!\s{0,9}[\d(.])"), r"(\1/100)"),
    (re.compile(r"(?<![\d.])0++(?=\d)"), ""),
)
_EXPRESSION = re.compile(r"[\d.+\-*/%() ]++")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?/\d\d?/\d{2,4}")


class CannotCalculate(Exception):
    """Why a sum has no answer here, as a sentence for a person."""


def read_sum(text: str) -> tuple[str, str] | None:
    """Return a sum as it was written and as an expression, or None when `text` asks for none.

    "2+2", "what is 3.5 * (2 - 1)^2?", "calculate 15% of 80". Without such a question something must be reckoned.
    """
    text = text.strip().rstrip("?!.= ").strip()
    if len(text) > MAX_CHARS or not any(c.isdigit() for c in text):
        return None
    asked = _ASKED.fullmatch(text)
    written = asked[1] if asked else text
    expression = written
    for pattern, replacement in _WORDS:
        expression = pattern.sub(replacement, expression)
    if not _EXPRESSION.fullmatch(expression) or (not asked and _DATE.fullmatch(written)):
        return None
    reckons = any(operator in expression.strip().lstrip("+-") for operator in "+-*/%")
    return (written.strip(), expression.strip()) if reckons else None


def calculate(expression: str) -> str:
    """Return the value of an expression of numbers, + - * / // % ** and brackets; raises CannotCalculate.

    Exact in whole numbers and decimals; what has no end is rounded to SHOWN_DIGITS digits and marked with "≈".
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CannotCalculate("I cannot read that as a sum.") from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise CannotCalculate("That sum is too long for me.")
    return show(_value(tree.body, expression))


def show(value: Fraction) -> str:
    """Return a number in digits: exactly where it ends, else rounded behind "≈ "."""
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    context = Context(prec=50 if rest == 1 else SHOWN_DIGITS)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    exact = Fraction(quotient) == value
    shown = f"{quotient if exact else Context(prec=SHOWN_DIGITS).plus(quotient):f}"
    if len(shown) > 60:
        shown = f"{Context(prec=SHOWN_DIGITS).plus(quotient):e}"
    return shown if exact else f"≈ {shown}"


def _value(node: ast.expr, source: str) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        # From the text itself: a float would already have lost digits.
        return Fraction(source[node.col_offset : node.end_col_offset])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _value(node.operand, source)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _bounded(_operate(node.op, _value(node.left, source), _value(node.right, source)))
    raise CannotCalculate("I cannot read that as a sum.")


def _operate(operator: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Pow():
            return _power(left, right)
        case ast.Div() | ast.FloorDiv() | ast.Mod():
            if right == 0:
                raise CannotCalculate("That divides by zero, which has no answer.")
            if isinstance(operator, ast.Div):
                return left / right
            return Fraction(left // right) if isinstance(operator, ast.FloorDiv) else left % right
    raise CannotCalculate("I cannot read that as a sum.")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """Return base ** exponent, refused before it is reckoned where the result would be too large."""
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
        raise CannotCalculate(f"I take whole exponents only, up to {MAX_EXPONENT}.")
    if base == 0 and exponent < 0:
        raise CannotCalculate("That divides by zero, which has no answer.")
    if _bits(base) * abs(exponent.numerator) > MAX_BITS and abs(base) != 1:
        raise CannotCalculate("That number is too large for me.")
    return Fraction(base**exponent.numerator)


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MAX_BITS:
        raise CannotCalculate("That number is too large for me.")
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
