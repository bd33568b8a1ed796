# modes: restricted standard
memo = {}
def fib(n):
    if n in memo:
        return memo[n]
    memo[n] = n if n < 2 else fib(n - 1) + fib(n - 2)
    return memo[n]
assert fib(50) == 12586269025
print(fib(50))
