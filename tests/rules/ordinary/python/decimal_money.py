# modes: standard
from decimal import Decimal, ROUND_HALF_UP, getcontext
getcontext().prec = 12
price = Decimal("19.99") * 3
print(price, (price * Decimal("0.19")).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP), Decimal(1) / Decimal(7))
