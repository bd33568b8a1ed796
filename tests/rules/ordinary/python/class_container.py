# modes: restricted standard
class Deck:
    def __init__(self):
        self._cards = [f"{rank}{suit}" for suit in "SH" for rank in "A23"]
    def __len__(self):
        return len(self._cards)
    def __getitem__(self, at):
        return self._cards[at]
    def __contains__(self, card):
        return card in self._cards
    def __iter__(self):
        return iter(self._cards)
deck = Deck()
print(len(deck), deck[0], deck[-1], "2H" in deck, deck[1:3], list(deck)[:2])
