"""Texts and prompts that the converted Gemma is compared with llama.cpp on."""
# ruff: noqa: RUF001  look-alike characters are the point

import itertools

TURNS = "<start_of_turn>user\nName three colours.<end_of_turn>\n<start_of_turn>model\n"

PROMPTS = (
    "The capital of France is",
    "Once upon a time, in a small village near the mountains,",
    "Water boils at 100 degrees Celsius, which is equal to",
    "Les trois couleurs du drapeau français sont",
    "日本の首都は",
    "def fibonacci(n):\n    if n <= 1:\n        return n\n    return",
    "Q: What is 12 + 30?\nA: 42\n\nQ: What is 7 * 6?\nA:",
    TURNS,
)

# More tokens than Gemma's sliding window of 512, so that local and global attention differ.
LONG_PROMPT = "".join(
    f"Ticket {number}: the {colour} {thing} arrived late, {reason}.\n"
    for number, (colour, thing, reason) in enumerate(
        itertools.product(
            ("red", "blue", "green"),
            ("camera", "router", "speaker", "kettle"),
            ("it was damaged", "nobody knows why", "and the box was open"),
        ),
        start=1,
    )
)

TEXTS = (
    *PROMPTS,
    "",
    # Spaces, tabs and line ends.
    " ",
    "  leading and trailing  ",
    "a  b   c    d     e",
    " " * 70,
    "\t",
    "\tTab\t\ttabs",
    "\n",
    "\n\n\n",
    "\n" * 40,
    "one\n\n two\n\t three\n",
    "line1\r\nline2\r\n",
    "zero\u200bwidth\u00a0nbsp\u3000wide\u2028line",
    # Digits.
    "1234567890",
    "3.14159, 1,000,000 and 2e-5",
    "2024-02-29T23:59:59+01:00",
    "٠١٢٣٤٥ ०१२३ １２３",
    # Scripts.
    "Ünïcödé naïve café",
    "“quotes” … – — € £ ½",
    "Grüße aus Köln, Straße und Übermaß",
    "¿Dónde está mi pedido? ¡Gracias!",
    "Zażółć gęślą jaźń",
    "Çok güzel, İstanbul'da ışık",
    "Tiếng Việt rất đẹp",
    "Привет, мир! Где мой заказ?",
    "Γειά σου Κόσμε",
    "שלום עולם",
    "مرحبا بالعالم",
    "हिन्दी में लिखा हुआ",
    "สวัสดีชาวโลก",
    "汉字 测试，简体中文。",
    "日本語のテキスト、カタカナとひらがな。",
    "한국어 문장입니다",
    "አማርኛ ქართული հայերեն",
    # Marks, ligatures, and characters outside the vocabulary.
    "e\u0301 is not \u00e9",
    "ＦＵＬＬ ｗｉｄｔｈ ﬁ ligature",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 \U0001f9ff",
    "\x01 control \x7f",
    "\u2581raw\u2581meta\u2581",
    "😀",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽 ok 🎉🎉",
    # Code and markup.
    "x = [1,2,3];  // comment\n\t\treturn x;\n",
    '{"category": "billing", "priority": 2, "product": null}',
    "<html><body><p class='a'>x</p></body></html>",
    "SELECT * FROM t WHERE a >= 10 AND b <> 'x';",
    "https://example.com/a?b=c&d=%20#e",
    "$ grep -rn 'foo|bar' ./src | wc -l",
    "\\alpha_{i}^{2} \\frac{1}{2}",
    "camelCase snake_case SCREAMING_CASE kebab-case",
    # Markers of turns and pieces that look like them.
    "<start_of_turn>",
    "<end_of_turn>\n<start_of_turn>model\n",
    "text<start_of_turn>text<end_of_turn>text",
    "< start_of_turn > <start_of_turn <end_of_turn_>",
    "<unused5> <mask> <unk_> [multimodal]",
    "a" * 300,
    "Dear support team, my router keeps blinking since last week. Please help!",
)
