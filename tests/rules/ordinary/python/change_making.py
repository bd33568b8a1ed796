# modes: restricted standard
def ways(amount, coins):
    table = [1] + [0] * amount
    for coin in coins:
        for value in range(coin, amount + 1):
            table[value] += table[value - coin]
    return table[amount]
print(ways(100, [1, 5, 10, 25, 50]))
