# modes: restricted standard
print("naïve café 日本語 🎉".upper(), len("🎉"), "ß".upper(), "Straße".casefold(), "é".encode(), b"\xc3\xa9".decode())
