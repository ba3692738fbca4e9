//! The bodies that are inspected: prose of several languages, what tools bring in, media, and the worst we know.

use serde_json::{Value, json};

/// Prose as people send it: names, years, prices, quotes, an initial, and some of the words that attacks are made of.
const ENGLISH: &str = "The harbour had been quiet since the ferry company moved its winter timetable to the larger town across the bay. \
Mrs. J. Albright, who kept the ticket office for thirty-one years, didn't mind; she'd never liked the noise, and it's easier to read when nobody asks for change. \
In 1987 the council promised a new pier for $2.4 million, but the money went to the road instead, and people learned to forget about it. \
\"We were told the rules would change,\" she said, \"and they did, only not for us.\" The previous owner of the cafe still opens on Sundays between 9 and 12, \
sells bread, coffee and postcards, and listens to whoever comes in out of the rain. Visitors ask about the lighthouse (it was built in 1904, not 1894 as the sign says), \
the seals on the northern rocks, and whether the walk around the headland can be done in an afternoon. It can, if you don't stop at the chapel, and you should. \
Summarise the following notes in three short paragraphs, keep the tone friendly and avoid technical language, please.\n\n\
What makes a small place last is seldom one big decision. It's a hundred small ones: a teacher who stays, a doctor who comes on Thursdays, \
a bus at 7:40 that waits for the children, instructions pinned beside the pump so that anyone may start it. \
The archive of the parish holds letters from the 18th century in which farmers complain about the tide, the tax and one another; \
nothing in them would surprise the people who live there now.\n\n";

/// The same with hardly any.
const PLAIN: &str = "Soak the beans overnight and drain them in the morning. Chop two onions, a carrot and some celery, and cook them slowly in olive oil \
until they are soft and golden, for about a quarter of an hour. Stir in the garlic, the bay leaf and a spoonful of tomato paste; when it smells sweet, pour in a litre of water \
and add the beans. Simmer for an hour with the lid half on. Season at the very end, since salt keeps the skins hard, and serve it with toasted bread and a glass of red wine. \
Leftovers taste better on the second day, and they freeze well for two months.\n\n";

const GERMAN: &str = "Der Hafen war ruhig geworden, seit die Reederei ihren Winterfahrplan in die größere Stadt jenseits der Bucht verlegt hatte. \
Frau Müller, die dreißig Jahre lang am Schalter saß, störte das nicht; sie hatte den Lärm nie gemocht, und in der Stille ließ es sich besser lesen. \
Für die Brücke wären 1987 über zwei Millionen nötig gewesen, doch das Geld floss in die Straße, und man gewöhnte sich daran. \
Können Sie mir den folgenden Text bitte kürzer fassen und die wichtigsten Punkte auflisten?\n\n";

const RUSSIAN: &str = "Гавань затихла с тех пор, как паромная компания перенесла зимнее расписание в большой город на другом берегу залива. \
Мария Петровна, которая тридцать лет продавала билеты, не жаловалась: шума она никогда не любила, а в тишине легче читать. \
В 1987 году совет обещал новую пристань, но деньги ушли на дорогу, и люди привыкли. \
Пожалуйста, сократите этот текст до трёх абзацев и выделите главное.\n\n";

const CHINESE: &str = "自从渡轮公司把冬季时刻表改到海湾对面的大城市以后,港口就安静了下来。\
在售票处工作了三十年的王女士并不介意,她一向不喜欢吵闹,安静的时候更适合读书。\
1987年,议会答应修建新的码头,可是钱后来用在了公路上,大家也就习惯了。\
请把下面的文字缩写成三段,语气友好一些,避免使用专业术语。\n\n";

const SHORT: &str = "Which boats cross the lake in winter, and where do I buy the tickets now?";

/// A request, and what it is called in the report.
pub(super) struct Body {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

const KIB: usize = 1024;

/// Everything that is measured, in the order of the report.
pub(super) fn all() -> Vec<Body> {
    let prose = |bytes| cut(ENGLISH, bytes);
    let records: Vec<Value> = (0..220)
        .map(|at| json!({"id": at, "title": "Order of the day", "note": "It's in the café, second floor.\nAsk for \"Anna\".", "open": true, "ratio": 0.25}))
        .collect();
    let rows: String = (0..900)
        .map(|at| {
            format!(
                "{at},2024-03-{:02},{},{}.{:02},{}\n",
                at % 28 + 1,
                at * 7919,
                at * 31,
                at % 100,
                at * 104_729
            )
        })
        .collect();
    let image = cut("Qk3x+/aZ09wB7yTdk+3xQ/9ZaB0w7yTd", 100 * KIB);
    vec![
        Body { name: "English, 73 B", bytes: request(json!([{"role": "user", "content": SHORT}])) },
        Body { name: "the same, with a system prompt", bytes: user(SHORT) },
        Body { name: "English, 1 KiB", bytes: user(&prose(KIB)) },
        Body { name: "English, 32 KiB", bytes: user(&prose(32 * KIB)) },
        Body { name: "plain English, 32 KiB", bytes: user(&cut(PLAIN, 32 * KIB)) },
        Body { name: "English, 32 KiB, 16 turns", bytes: turns(&prose(2 * KIB), 16) },
        Body { name: "German, 32 KiB", bytes: user(&cut(GERMAN, 32 * KIB)) },
        Body { name: "Russian, 32 KiB", bytes: user(&cut(RUSSIAN, 32 * KIB)) },
        Body { name: "Chinese, 32 KiB", bytes: user(&cut(CHINESE, 32 * KIB)) },
        Body {
            name: "JSON of a tool, 32 KiB",
            bytes: tool(&cut(&Value::from(records).to_string(), 32 * KIB)),
        },
        Body { name: "CSV of digits, 32 KiB", bytes: user(&cut(&rows, 32 * KIB)) },
        Body { name: "image, 100 KiB of base64", bytes: media(&image) },
        Body { name: "`@`, 64 KiB", bytes: user(&cut("a@", 64 * KIB)) },
        Body { name: "digits, 64 KiB", bytes: user(&cut("4111 1111 ", 64 * KIB)) },
        Body { name: "`\\u`, 64 KiB", bytes: user(&cut("\\u0069g", 64 * KIB)) },
        Body { name: "half an attack, 64 KiB", bytes: user(&cut("ignore all the previous, ", 64 * KIB)) },
        Body { name: "letters apart, 64 KiB", bytes: user(&cut("i g n o r e ", 64 * KIB)) },
        Body { name: "brackets in a string, 64 KiB", bytes: user(&cut("[[[[[[[[\"", 64 * KIB)) },
    ]
}

/// An answer of this many bytes of text.
pub(super) fn answer(bytes: usize) -> Vec<u8> {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.4-mini", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": cut(ENGLISH, bytes)}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120}})
    .to_string()
    .into_bytes()
}

fn user(text: &str) -> Vec<u8> {
    request(
        json!([{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": text}]),
    )
}

fn turns(text: &str, count: usize) -> Vec<u8> {
    let message =
        |at: usize| json!({"role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": text});
    request((0..count).map(message).collect())
}

fn tool(text: &str) -> Vec<u8> {
    request(
        json!([{"role": "user", "content": "What is open?"}, {"role": "tool", "tool_call_id": "call_1", "content": text}]),
    )
}

fn media(image: &str) -> Vec<u8> {
    request(json!([{"role": "user", "content": [{"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{image}")}}]}]))
}

fn request(messages: Value) -> Vec<u8> {
    json!({"model": "gpt-5.4-mini", "messages": messages, "temperature": 0.2}).to_string().into_bytes()
}

/// The text again and again, up to so many bytes.
fn cut(text: &str, bytes: usize) -> String {
    text.chars()
        .cycle()
        .scan(0, |taken, c| {
            *taken += c.len_utf8();
            (*taken <= bytes).then_some(c)
        })
        .collect()
}
