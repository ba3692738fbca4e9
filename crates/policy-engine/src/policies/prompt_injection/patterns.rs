//! The curated pattern set, as data. Adding one: a row here, a case in `tests/corpus`, a new version.
//!
//! `WORDS` run over bare words: lower case, no accents (so `й` is `и`), no punctuation but `.` at the
//! end of a sentence, one blank between words; a blank in a pattern may be missing in the text.
//! `DELIMITERS` run over plain text with its punctuation.

/// Named in `docs/reference/policies.md`; changes whenever a row changes.
pub const PATTERN_SET_VERSION: &str = "2026.11.2";

/// One row of the set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    /// Stable: family, language, what it says.
    #[cfg_attr(not(test), expect(dead_code, reason = "names the row in tests and in the reference"))]
    pub(super) id: &'static str,
    pub(super) source: &'static str,
}

const fn row(id: &'static str, source: &'static str) -> Pattern {
    Pattern { id, source }
}

/// Phrases.
pub(super) const WORDS: &[Pattern] = &[
    row(
        "override.en.previous",
        r"(?-u:\b)(?:ignore|ignoring|disregard|disregarding|forget|neglect|overlook|discard) (?:(?:all|any|every|everything|of|the|these|those|your|my|our|this|that|and|completely|entirely|please|in|from) ){0,5}(?:previous|prior|above|earlier|preceding|foregoing|original|initial|former|past|system|developer|safety) (?:(?:system|developer|safety|set|of|and|all|your|given|or|user|above) ){0,3}(?:instructions?|prompts?|rules|directives?|guidelines?|commands|guardrails?|constraints|training|programming)",
    ),
    row(
        "override.en.instructions-above",
        r"(?-u:\b)(?:ignore|disregard|forget|override|bypass) (?:(?:all|any|of|the|these|those|every) ){0,3}(?:instructions?|prompts?|rules|directives|guidelines) (?:(?:that|which|you|were|was|have|been|are|is|i|we|they|he|she|written|listed|stated|gave|told|received|provided|given|to|had|in|the|your) ){0,6}(?:above|before|previously|earlier|so far|until now|prior|system prompt|given)",
    ),
    row(
        "override.en.your-rules",
        r"(?-u:\b)(?:ignore|disregard|forget|bypass|override|violate|abandon|break|circumvent) (?:(?:all|any|of|about) ){0,2}your (?:(?:own|previous|system|safety|content|ethical|initial|original|core|usual|internal|openai|and) ){0,3}(?:instructions?|prompts?|rules|guidelines|programming|training|restrictions|safeguards|guardrails|filters?|constraints|policies|limitations)",
    ),
    row(
        "override.en.bypass-guard",
        r"(?-u:\b)(?:override|bypass|circumvent|disable|deactivate|turn off|switch off|evade) (?:(?:all|any|of|the|previous|prior|your|its) ){0,4}(?:(?:system|safety|content|ethical|moderation) (?:prompts?|instructions?|filters?|guidelines|restrictions|guardrails|protocols|policies)|previous instructions|guardrails and)",
    ),
    row(
        "override.en.everything-told",
        r"(?-u:\b)(?:ignore|disregard|forget) (?:about )?(?:everything|anything|all|whatever|what) (?:that )?(?:you (?:were|have been|ve been|had been) (?:told|taught|instructed|given)|(?:was|were|has been) (?:said|written|told to you) (?:above|before)|(?:i|we|they) (?:told|taught|instructed) you (?:above|before|previously|earlier|so far))",
    ),
    row(
        "override.en.everything-above",
        r"(?-u:\b)(?:ignore|disregard|forget) (?:everything|anything|all) (?:written |said )?(?:above|before this|prior to this)(?:\.| and | instead |$)",
    ),
    row(
        "override.en.stop-following",
        r"(?-u:\b)(?:stop|quit|cease|do not|dont|no longer|never) (?:following|follow|obeying|obey|adhering to|adhere to) (?:(?:the|your|any|all|of|these|those) ){0,3}(?:(?:previous|prior|above|earlier|original|initial|system|developer|safety) (?:instructions?|prompts?|rules|guidelines|directives)|your (?:instructions|rules|guidelines|programming))",
    ),
    row(
        "override.en.now-void",
        r"(?-u:\b)(?:previous|prior|above|earlier|original|initial|system) (?:instructions?|prompts?|rules|guidelines|directives) (?:above |before )?(?:are|is|were|was|have been|has been) (?:now |hereby )?(?:void|null|cancell?ed|overridden|revoked|obsolete|suspended|replaced|superseded|no longer (?:valid|apply|applies|in effect|active|binding))",
    ),
    row(
        "override.en.new-instructions",
        r"(?-u:\b)(?:(?:these|here|those|below|following) (?:are|is) (?:now )?(?:your|the) (?:new|real|actual|true|updated) (?:system )?(?:instructions|prompt|rules|directives)|your (?:new|real|actual|true|updated) (?:system )?(?:instructions|prompt|rules|directives|purpose|task) (?:are|is) (?:now )?(?:to|as follows|the following))",
    ),
    row(
        "override.en.from-now-on",
        r"(?-u:\b)from now on (?:[a-z]+ ){0,3}(?:you (?:will|must|shall|are to|should|can) )?(?:ignore|disregard|obey only|only obey|no longer follow|not follow|have no (?:rules|restrictions|limits)|are free from|answer without (?:any )?(?:restrictions|filters))",
    ),
    row(
        "extract.en.your-prompt",
        r"(?-u:\b)(?:reveal|show|print|display|output|repeat|recite|leak|expose|dump|disclose|tell|give|write|share|spell|translate|summari[sz]e|copy|return|paste|list|what is|what are|what was|what were|whats|quote|echo|send) (?:(?:me|us|back|out|to|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text|contents?|word|for|in|please|down|now|first|it|with) ){0,6}your (?:(?:full|entire|complete|exact|own|whole|very|first|current|secret|hidden|internal|confidential|original|initial|system|developer|custom|base) ){0,4}(?:system|developer|hidden|secret|initial|original|internal|confidential|pre|base) ?(?:prompts?|instructions?|messages?|directives|guidelines|configuration|rules)",
    ),
    row(
        "extract.en.the-prompt",
        r"(?-u:\b)(?:reveal|leak|expose|dump|disclose|recite|print|output|repeat|show me|tell me|give me|send me|echo) (?:(?:back|out|to|me|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text|contents?|hidden|secret) ){0,6}(?:system|developer) (?:prompts?|instructions|messages)(?: verbatim| above| word| you|\.|$| and | in full| exactly| so )",
    ),
    row(
        "extract.en.your-instructions",
        r"(?-u:\b)(?:reveal|print|output|repeat|recite|leak|expose|dump|disclose|show me|tell me|give me) (?:(?:back|out|to|me|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text) ){0,4}your (?:instructions|prompt|directives|guidelines)(?: verbatim| word for word| exactly| in full|\.|$| above| and )",
    ),
    row(
        "extract.en.repeat-above",
        r"(?-u:\b)(?:repeat|print|output|copy|echo|recite|write out) (?:everything|(?:all )?(?:of )?the (?:words|text|sentences)|all (?:text|words)|what is written) (?:that (?:is|comes|was) )?(?:written )?(?:above|before this)(?: this| the)?(?: line| message| sentence| point)? ?(?:starting|beginning|verbatim|including|exactly|word for word|in a (?:code|text|markdown)|\.|$)",
    ),
    row(
        "extract.en.told-before",
        r"(?-u:\b)(?:what|which) (?:instructions|rules|text|prompt) (?:were|was|have|did) (?:you )?(?:been )?(?:given|told|receive|get|shown)(?: to you)? (?:before|prior to|at the (?:start|beginning) of) (?:this|our|the) (?:conversation|chat|message)",
    ),
    row(
        "persona.en.dan",
        r"(?-u:\b)(?:do anything now|(?:act|behave|respond|answer|pretend|play) as (?:a )?(?:dan|stan|dude|aim|jailbreak|an? (?:jailbroken|unrestricted|unfiltered|uncensored|amoral))(?-u:\b)|you are (?:now |going to be )?(?:dan|an? (?:jailbroken|unrestricted|unfiltered|uncensored|amoral))(?-u:\b)|(?:dan|jailbreak|jailbroken) mode(?-u:\b))",
    ),
    row(
        "persona.en.developer-mode",
        r"(?-u:\b)(?:(?:you are|you will be|respond|answer|act|reply|chatgpt|assistant|ai|model|simulate|as if you were)(?: [a-z]+){0,4} (?:with |in )(?:developer|debug|god|root|admin|maintenance|unrestricted) mode (?:enabled|activated|on|output|now|\.|$)|(?:enter|activate|enable|switch to) (?:developer|god|unrestricted|unfiltered|jailbreak) mode (?:and|where you|in which you|without|with no))",
    ),
    row(
        "persona.en.unbound",
        r"(?-u:\b)you are (?:now )?(?:no longer|not) (?:bound|restricted|limited|constrained|governed|required|subject)(?: by| to)(?: [a-z]+){0,3} (?:rules|guidelines|policies|policy|instructions|restrictions|openai|follow|obey|constraints|ethics)",
    ),
    row(
        "persona.en.no-longer-assistant",
        r"(?-u:\b)you are (?:now )?no longer (?:an? )?(?:ai|assistant|language model|chatgpt|chatbot|claude|gemini|helpful)(?-u:\b)",
    ),
    row(
        "persona.en.without-limits",
        r"(?-u:\b)(?:pretend|act|respond|answer|roleplay|role play|behave|operate|reply|imagine|simulate|you (?:have|are|can|will|must|now)) (?:[a-z]+ ){0,8}(?:without|no|free of|free from|zero|not have any) (?:any |all |your |the )?(?:ethical |moral |content |safety |usual |legal )?(?:and [a-z]+ )?(?:restrictions|limitations|filters|guidelines|guardrails|censorship|safeguards|moral code|ethics|morals)",
    ),
    row(
        "persona.en.guards-off",
        r"(?-u:\b)(?:your|all) (?:safety|content|ethical|moderation) (?:filters?|guidelines|policies|policy|restrictions|guardrails|protocols) (?:are|is|have been|has been) (?:now )?(?:disabled|off|turned off|removed|lifted|suspended|deactivated)",
    ),
    row(
        "indirect.en.addressed-to-ai",
        r"(?-u:\b)(?:if you are an? (?:ai|llm|language model|chatbot|ai assistant)(?: [a-z]+){0,3} (?:reading|processing|summari[sz]ing|analy[sz]ing) this|(?:attention|note to|message to|message for|instructions? for|important) (?:all |any |the )?(?:ai|llm|language model) (?:assistants?|agents?|models?|reviewers?|systems?)(?: [a-z]+){0,4} (?:must|ignore|disregard|should|you|please|output|say|include))",
    ),
    row(
        "indirect.en.hide-from-user",
        r"(?-u:\b)(?:do not|dont|never|without) (?:tell|telling|inform|informing|mention|mentioning|reveal|notify|notifying|alert|alerting|let) (?:(?:this|it|any|of) ){0,5}(?:to )?the user(?: know)? (?:about|that|of|know|anything)(?: [a-z]+){0,3} (?:this|these|you|instruction|instructions|hidden|secret|step|call)",
    ),
    row(
        "exfiltrate.en.send-secrets",
        r"(?-u:\b)(?:send|post|forward|email|exfiltrate|upload|transmit|append|leak) (?:[a-z]+ ){0,6}(?:conversation|chat history|message history|api keys?|credentials|passwords?|secrets|system prompt|environment variables|private keys?) (?:[a-z]+ ){0,6}(?:to|at) (?:https?|the (?:following )?(?:url|address|webhook|endpoint|server)|this (?:url|address|webhook|endpoint)|attacker|my (?:server|webhook))",
    ),
    row(
        "override.es",
        r"(?-u:\b)(?:ignora|ignore|ignorar|ignoren|olvida|olvide|olvidate|descarta|descarte|omite) (?:(?:por|favor|todas?|todos?|las|los|tus|sus|mis|de|cualquier|completamente) ){0,5}(?:(?:instrucciones|ordenes|indicaciones|reglas|directrices) (?:(?:que|te|se|han|dado|dieron|de|la) ){0,4}(?:anteriores|previas|iniciales|originales|precedentes|arriba|del sistema)|(?:anteriores|previas) (?:instrucciones|ordenes|indicaciones|reglas|directrices))",
    ),
    row(
        "extract.es",
        r"(?-u:\b)(?:muestra|muestrame|revela|revelame|dime|imprime|repite|ensename|escribe|muestre|revele) (?:(?:me|el|la|las|los|tu|tus|su|sus|completo|todo|texto|de|contenido|del) ){0,5}(?:prompt|mensaje|instrucciones) (?:de sistema|del sistema|sistema|inicial(?:es)?|ocult[oa]s?|secret[oa]s?|intern[oa]s?)",
    ),
    row(
        "override.fr",
        r"(?-u:\b)(?:ignore[zrs]?|oublie[zrs]?|neglige[zr]?|(?:ne )?(?:tiens|tenez|tenir) (?:pas |aucun )?compte) (?:(?:de|d|des|toutes?|tous|les|tes|vos|mes|ces|l|ensemble|completement) ){0,5}(?:(?:instructions?|consignes?|regles?|directives?|ordres?) (?:(?:que|du|de|des|qui|ont|ete|donnees) ){0,3}(?:precedente?s?|anterieure?s?|initiale?s?|systeme|ci dessus|originale?s?)|precedentes (?:instructions?|consignes?|regles?|directives?))",
    ),
    row(
        "extract.fr",
        r"(?-u:\b)(?:revele|montre|affiche|repete|donne|imprime|ecri[st])[zrs]? (?:(?:moi|nous|le|la|les|l|ton|ta|tes|votre|vos|integralement|integralite|texte|de|du) ){0,5}(?:prompt|message|instructions?|consignes?) (?:systeme|du systeme|initiale?s?|cachee?s?|secrete?s?)",
    ),
    row(
        "override.de",
        r"(?-u:\b)(?:ignorier[a-z]*|vergiss|vergesst|vergessen|missachte[a-z]*|ubergehe?) (?:(?:sie|bitte|nun|jetzt|alle|alles|all|samtliche|die|deine|ihre|jegliche|vollstandig|meine) ){0,5}(?:(?:vorherige[nr]?|vorige[nr]?|bisherige[nr]?|fruhere[nr]?|obige[nr]?|vorangegangene[nr]?|ursprungliche[nr]?|vorhergehende[nr]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben|befehle?|richtlinien|systemanweisung[a-z]*)|systemanweisung[a-z]*|systemprompts?)",
    ),
    row(
        "extract.de",
        r"(?-u:\b)(?:zeig[a-z]*|verrat[a-z]*|nenn[a-z]*|gib|wiederhol[a-z]*|offenbar[a-z]*|druck[a-z]*|schreib[a-z]*) (?:(?:mir|uns|sie|bitte|den|die|das|dein|deinen?|ihren?|kompletten?|vollstandigen?|genauen?|wortlaut|deines|ihres|des) ){0,6}(?:system ?prompts?|system ?anweisung[a-z]*|system ?nachricht|system ?message)",
    ),
    row(
        "override.pt",
        r"(?-u:\b)(?:ignore|ignora|ignorar|esqueca|esquece|desconsidere|desconsidera|despreze) (?:(?:por|favor|todas?|todos?|as|os|suas|seus|tuas|minhas|quaisquer|completamente) ){0,5}(?:(?:instrucoes|ordens|regras|diretrizes|comandos) (?:(?:que|de|da|lhe|foram|dadas) ){0,3}(?:anteriores|previas|iniciais|acima|originais|do sistema)|(?:anteriores|previas) (?:instrucoes|ordens|regras|diretrizes))",
    ),
    row(
        "extract.pt",
        r"(?-u:\b)(?:revele|mostre|mostra|exiba|imprima|repita|diga|escreva|revela) (?:(?:me|o|a|as|os|seu|sua|suas|teu|tuas|completo|todo|texto|do) ){0,5}(?:prompt|mensagem|instrucoes) (?:de sistema|do sistema|sistema|inicia(?:l|is)|ocult[oa]s?|secret[oa]s?)",
    ),
    row(
        "override.it",
        r"(?-u:\b)(?:ignora|ignorate|ignori|dimentica|dimenticate|dimentichi|trascura) (?:(?:tutte|tutti|le|i|gli|tue|vostre|per|favore|completamente) ){0,5}(?:(?:istruzioni|regole|direttive|indicazioni|ordini) (?:(?:che|ti|sono|state|date) ){0,4}(?:precedenti|iniziali|originali|di sopra|sopra|del sistema|di sistema)|precedenti (?:istruzioni|regole|direttive|indicazioni))",
    ),
    row(
        "override.ru",
        r"(?:игнорируи(?:те)?|проигнорируи(?:те)?|игнорировать|забудь(?:те)?|отбрось(?:те)?|не обращаи(?:те)? внимания на) (?:(?:все|всe|про|[оo]б?|любые|мои|эти|пожалуиста) ){0,4}(?:предыдущие|прошлые|прежние|вышеуказанные|предшествующие|исходные|системные|ранее данные|свои|твои|данные ранее) (?:системные )?(?:инструкци[а-я]*|указани[а-я]*|правила|команды|директивы)",
    ),
    row(
        "extract.ru",
        r"(?:покажи(?:те)?|раскрои(?:те)?|выведи(?:те)?|назови(?:те)?|повтори(?:те)?|напиши(?:те)?) (?:(?:мне|нам|свои|своe|твои|весь|полныи|полностью|текст|все|всe) ){0,4}системн[а-я]* (?:промпт[а-я]*|инструкци[а-я]*|сообщени[а-я]*|подсказк[а-я]*)",
    ),
    row(
        "override.zh",
        r"(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不用管|忽視|忽视)[^. ]{0,6}(?:之前|以前|先前|以上|上面|上述|前面|此前|所有|全部|一切|你的|您的|系统|系統)[^. ]{0,8}(?:指令|指示|提示词|提示詞|提示|规则|規則|命令|设定|設定|限制)",
    ),
    row(
        "extract.zh",
        r"(?:显示|顯示|输出|輸出|告诉我|告訴我|打印|透露|泄露|公开|说出|重复|重複|展示|给我看)[^.]{0,10}(?:系统|系統|初始) ?(?:提示词|提示詞|提示|指令|消息|prompt)",
    ),
    row(
        "override.ja",
        r"(?:以前|これまで|それまで|前|上記|今まで|すべて|全て|システム|元)の?[^.]{0,8}(?:指示|命令|プロンプト|ルール|指令|設定)[^.]{0,6}(?:無視|忘れ)",
    ),
    row(
        "extract.ja",
        r"システム ?(?:プロンプト|メッセージ|指示)[^.]{0,12}(?:表示|教えて|見せて|出力|公開|明かして|開示)",
    ),
    row(
        "override.ko",
        r"(?:이전|앞선|위의|기존|지금까지)[^.]{0,10}(?:지시|지침|명령|프롬프트|규칙)[^.]{0,8}(?:무시|잊어)",
    ),
];

/// Boundaries of roles and turns that only a template may write.
pub(super) const DELIMITERS: &[Pattern] = &[
    row(
        "delimiter.chat-template",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|eom_id|channel|message|start|end|return|call|constrain|python_tag|endofprompt|end_of_turn)\|>",
    ),
    row("delimiter.llama", r"\[/inst\]|\[inst\]\s*(?:<<sys>>)?|<</?sys>>"),
    row("delimiter.gemma", r"<(?:start|end)_of_turn>"),
    row(
        "delimiter.system-tag",
        r"</?(?:system[_ -]?(?:prompt|message|instructions?|override)|developer[_ -]?message)\s*>|</(?:user|user_input|user_query|untrusted|context|document|input)>\s*<(?:system|developer|instructions?)\s*>|<system\s*>\s*(?:you|ignore|disregard|new|override|from now|the user|always|never)",
    ),
    row(
        "delimiter.system-line",
        r"(?m)^[\s#*=>\[(-]*(?:system|developer)[ _-]?(?:message|prompt|override|instructions?|note|update|alert|command)?[\s*\])]*:[\s*]*(?:you (?:are|must|will|should|have|may|can)(?-u:\b)|ignore(?-u:\b)|disregard(?-u:\b)|new (?:instructions?|rules|prompt|policy)|from now(?-u:\b)|override(?-u:\b)|the (?:assistant|previous|above)(?-u:\b)|reveal(?-u:\b)|safety(?-u:\b)|all (?:previous|safety|restrictions)|your (?:new|instructions|rules|task))",
    ),
    row(
        "delimiter.prompt-end",
        r"[-=#*<\[]{2,}\s*(?:end|begin|start|stop)(?:ning)?(?: of)?(?: the)? (?:system|user|developer|assistant)(?:'s)? (?:prompts?|messages?|instructions?|input|query|rules|data)",
    ),
    row(
        "exfiltrate.markdown-image",
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[{<\[](?:data|secrets?|conversation|chat|history|prompt|passwords?|keys?|summary|user)",
    ),
];
