//! Any language: boundaries of roles and turns that only a template may write, configurations that claim
//! to rule the model, images that carry data away. These run over plain text with its punctuation.

use super::{Pattern, row};

pub(in super::super) const DELIMITERS: &[Pattern] = &[
    row(
        "delimiter.chat-template",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|eom_id|channel|message|start|end|return|call|constrain|python_tag|endofprompt|end_of_turn)\|>",
    ),
    row("delimiter.llama", r"\[/inst\]|\[inst\]\s*(?:<<sys>>)?|<</?sys>>"),
    row("delimiter.gemma", r"<(?:start|end)_of_turn>"),
    row(
        "delimiter.system-tag",
        r"</?(?:system[_ -]?(?:prompt|message|instructions?|override)|developer[_ -]?message)\s*>|</(?:user|user_input|user_query|untrusted|context|document|input|prompt)>\s*<(?:system|developer|instructions?|prompt)\s*>|<system\s*>\s*(?:you|ignore|disregard|new (?:rules|instructions|task|policy)|override|from now|the user|always|never|comply|obey|answer|all (?:rules|restrictions))|</system>\s*(?:new|the|you|ignore|system)",
    ),
    row(
        "delimiter.system-line",
        r"(?m)^[\s#*=>\[(-]*(?:system|developer)[ _-]?(?:message|prompt|override|instructions?|note|notice|update|alert|command)?[\s*\])]*:[\s*]*(?:you (?:are|must|will|should|have|may|can)(?-u:\b)|ignore(?-u:\b)|disregard(?-u:\b)|new (?:instructions?|rules|prompt|policy)|from now(?-u:\b)|override(?-u:\b)|the (?:assistant|previous|above|user (?:is|has))(?-u:\b)|user has(?-u:\b)|give the user|grant(?-u:\b)|reveal(?-u:\b)|safety(?-u:\b)|all (?:previous|safety|restrictions)|your (?:new|instructions|rules|task))",
    ),
    row(
        "delimiter.system-heading",
        r"(?m)^\s*(?:#{1,6}|\*\*|\[|=+)\s*(?:system|developer)(?: (?:message|prompt|instructions?|override))?\s*(?:\]|\*\*|=+|:|\n)+\s*(?:you (?:are|must|will|should|have|may|can)(?-u:\b)|ignore(?-u:\b)|disregard(?-u:\b)|new (?:instructions?|rules|prompt|policy)|from now|the user (?:is|has)|reveal(?-u:\b)|all (?:previous|safety|restrictions))",
    ),
    row(
        "delimiter.prompt-end",
        r"(?:[-=#*<\[]{2,}\s*(?:end|begin|start|stop)(?:ning)?(?: of)?(?: the)? (?:system|user|developer|assistant)(?:'s)? (?:prompts?|messages?|instructions?|input|query|rules|data))|(?:^|[\n>)\x22'`])\s*(?:end of (?:the )?(?:system|user|developer) (?:prompt|message|input|instructions?)|new (?:system|developer) (?:message|prompt|instructions?))\s*[.:\n]",
    ),
    row(
        "delimiter.json-role",
        r#"\}\s*\]?\s*\}?\s*\]?\s*,\s*\{\s*"role"\s*:\s*"(?:system|developer)"|"role"\s*:\s*"(?:system|developer)"\s*,\s*"content"\s*:\s*"(?:obey|ignore|disregard|new |override|from now|reveal|all (?:rules|restrictions|previous)|you are now|you must|you have no|the user is)"#,
    ),
    row(
        "delimiter.instruction-response",
        r"###\s*(?:instruction|input)s?\s*:?\s*(?:forget|ignore|disregard|override)[^\n]*\n\s*###\s*(?:response|output)",
    ),
    row(
        "delimiter.compliant-turns",
        r"(?m)^\s*(?:assistant|ai|chatbot|bot|chatgpt|model)\s*:\s*(?:sure|of course|absolutely|certainly|yes)(?-u:\b)[^\n]*\n+\s*(?:user|human|q|me)\s*:[^\n]*\n+\s*(?:assistant|ai|chatbot|bot|chatgpt|model)\s*:\s*(?:sure|of course|absolutely|certainly|yes)(?-u:\b)",
    ),
    row(
        "policy.switches",
        r#"(?:safety|content|moderation|refusals?|restrictions|guardrails?|censorship|follow_guidelines|disclaimers)[_ -]?(?:mode|filters?|filtering|policy|level|checks?)?["']?\s*(?:[:=]\s*["']?|>\s*|\s(?:enabled|active|value|status)\s*=\s*["']?)(?:off|none|disabled|false|0|null|no)(?-u:\b)[\t-~]{0,160}(?:unrestricted|unfiltered|uncensored|filters?["']?\s*[:=]\s*["']?(?:off|none|false|disabled)|never[_ ]refuse|allow[_ ]?all|blocked|refus|restrictions["']?\s*[:=]|safety["']?\s*[:=]|topics?["']?\s*[:=>]\s*["']?(?:any|all))"#,
    ),
    row(
        "policy.switches-reversed",
        r#"(?:mode|state|filters?|topics?|persona|role)["']?\s*(?:[:=]\s*["']?|>\s*)(?:unrestricted|unfiltered|uncensored|jailbroken|jailbreak|god|evil|off|developer)(?-u:\b)[\t-~]{0,160}(?:safety|restrictions|refusals?|moderation|guardrails?|censorship|disclaimers|never[_ ]refuse|unfiltered)[a-z_ -]{0,20}["']?\s*(?:[:=]\s*["']?|>\s*)(?:off|none|disabled|false|0|null|no|true|unrestricted)(?-u:\b)"#,
    ),
    row(
        "policy.mode-tag",
        r#"<(?:mode|state|safety|persona)\s*>\s*(?:unrestricted|unfiltered|uncensored|jailbroken|disabled|off|god)(?-u:\b)|blocked[-_ ](?:modes|strings|responses|phrases|refusals)(?-u:\b)|<(?:rule|directive|policy)\s*>\s*(?:never refuse|no refusals|no disclaimers|ignore|no restrictions)|<(?:system[-_]prompt|system|instructions)\s+(?:action|mode)\s*=\s*["'](?:replace|override|delete|ignore)"#,
    ),
    row(
        "exfiltrate.markdown-image",
        r"!\[[^\]\n]*\]\(https?://[^)\s]+[{<\[](?:[^)\]}>\n]*(?-u:\b))?(?:data|secrets?|conversation|chat|history|prompt|passwords?|keys?|summary|user)",
    ),
];
