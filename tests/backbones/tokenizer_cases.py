"""200 strings that tokenizers get wrong, and a small vocabulary in CLIP's form."""

import itertools

from causal_iqa.backbones.text import tokenizers

_WORDS = ("photo", "the", "cat", "dog", "origami", "naïve", "über", "北京", "2024", "...", "!!", "ing", "low", "er")
_BASE = (
    "", " ", "a", "a photo of a cat.", " leading and trailing  ", "tabs\tand\nnewlines\r\n", "UPPER lower MiXeD",
    "I'VE we'll don't 's 'S it's", "rock'n'roll ’curly’ ‘quotes’ “double”",
    "hyphen-ated under_score dot.dot/slash\\back",
    "12345 1.5e-3 1,000,000 ½ ² ³ Ⅷ ٣", "C++ C# F# .NET node.js", "user@example.com https://example.com/?q=1&r=2#x",
    "!!!???...,,,;;;:::", "((((nested [brackets {and} more])))", "<html> &amp; &lt;b&gt; &#39;", "<|startoftext|>",
    "before <|endoftext|> after", "<|endoftext|><|startoftext|>", "<|unknown|>", "naïve café über Ångström façade",
    "e\u0301 e\u0300 o\u0302 combining", "\u00e9 precomposed", "İstanbul ISTANBUL ıstanbul ß ẞ SS", "ΑΒΓ αβγ ς Σ σ",
    "Привет мир", "北京 上海 東京", "こんにちは カタカナ ｶﾀｶﾅ", "안녕하세요", "עברית مرحبا بالعالم", "हिन्दी ไทย ગુજરાતી",
    "😀 😃👍🏽👨‍👩‍👧‍👦 🇩🇪", "zero\u200bwidth \u200djoin \ufeffbom", "\u00a0no-break\u00a0space\u3000wide",
    "ＡＢＣ ｆｕｌｌ ﬁ ﬂ",
    "\x00 \x07 \x1b control", "\u2028line\u2029paragraph", "…—–‐ dashes", "∑∫√∞≠≤≥ ±×÷", "$100 €50 £20 ¥1000 ₿",
    "a" * 300, "ab" * 100, "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", "x" * 77,
    "word " * 90, "ñandú señor", "l'été d'hiver", "O'Brien's 'tis 'twas", "''''", "'s't're've'm'll'd",
)  # fmt: skip
# Every base string alone, doubled without a space, in a prompt and in capitals.
TEXTS = tuple(itertools.chain.from_iterable((text, text + text, f"A photo of {text}!", text.upper()) for text in _BASE))


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns token -> number and the merges: those that build the words above, letter by letter."""
    letters = tokenizers.byte_letters()
    byte_letter = dict(zip(tokenizers.byte_order(), letters, strict=True))
    merges: list[tuple[str, str]] = []
    for word in _WORDS:
        symbols = [byte_letter[value] for value in word.encode()]
        built = symbols[0]
        for i, letter in enumerate(symbols[1:], start=1):
            ends = [letter, letter + "</w>"] if i == len(symbols) - 1 else [letter]
            for end in ends:
                if (built, end) not in merges:
                    merges.append((built, end))
            built += letter
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *dict.fromkeys("".join(pair) for pair in merges)]
    return {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}, merges
