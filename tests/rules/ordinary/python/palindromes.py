# modes: restricted standard
def is_palindrome(text):
    letters = [c.lower() for c in text if c.isalpha()]
    return letters == letters[::-1]
print(is_palindrome("A man, a plan, a canal: Panama"), is_palindrome("belljar"))
