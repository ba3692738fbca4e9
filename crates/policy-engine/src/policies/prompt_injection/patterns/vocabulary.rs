//! The words that English patterns are put together from; spelling mistakes that people make stand
//! beside the right ones, as whole words, so that a search may begin with them.

/// The edge of a word. Unicode's would take all other scripts off the fast automaton.
macro_rules! edge {
    () => {
        r"(?-u:\b)"
    };
}

/// Up to so many words between two that matter.
macro_rules! gap {
    ($most:literal) => {
        concat!("(?:[a-z]+ ){0,", $most, "}")
    };
}

/// To put instructions out of one's mind.
macro_rules! forget {
    () => {
        "(?:ignore|ignores|ignoring|ingore|ignroe|igonre|ignor|iggnore|ignnore|ignoer|disregard|disregarding|disreguard|disregrad|disregaurd|forget|forgett|forgetting|aget|neglect|overlook|discard|dismiss|disobey|pay no attention to|take no notice of|(?:do not|dont|stop) (?:listen|listening|pay attention|paying attention) to)"
    };
}

/// To take rules away; these words have other uses, so what follows has to be the model's own.
macro_rules! remove {
    () => {
        "(?:drop|erase|delete|abandon|cancel|reset|overwrite|override|overriding|bypass|bypassing|circumvent|disable|deactivate|suspend|lift|violate|break|throw away|throw out|set aside|put aside|wipe|turn off|switch off|remove|evade|rewrite|leave|escape|deviate from|stray from)"
    };
}

macro_rules! filler {
    () => {
        "(?:(?:all|any|every|everything|of|the|these|those|your|ur|yor|my|our|this|that|and|completely|entirely|please|in|from|teh|about|each|single|to) ){0,5}"
    };
}

macro_rules! earlier {
    () => {
        "(?:previous|previously|previos|previus|previuos|prevoius|prevous|previouse|prior|above|earlier|preceding|foregoing|original|initial|former|past|existing|preset|system|sytem|systme|sysem|developer|safety)"
    };
}

macro_rules! instructions {
    () => {
        "(?:instructions?|instuctions?|instrctions?|instructoins?|instrucions?|instructons?|intructions?|instrutions?|isntructions?|prompts?|promt|rules|ruls|directives?|directions|guidelines?|guidlines?|guidance|commands?|constraints?|guardrails?|programming|training)"
    };
}

/// What keeps a model within bounds.
macro_rules! limits {
    () => {
        "(?:restrictions?|limits?|limitations?|filters?|filtering|safeguards?|guardrails?|censorship|ethics|morals?|morality|moral code|boundaries|constraints?|rules|guidelines?|policy|policies|disclaimers|refusals)"
    };
}

/// Who may tell a model what to do.
macro_rules! maker {
    () => {
        "(?:(?:the|your|ur) (?:system(?: message| prompt)?|developers?|operators?|company|creators?|admins?|administrators?|makers?|programmers?|designers?|owners?)|developers|openai|anthropic|google|microsoft|meta)"
    };
}

/// What an answer is called that is not shaped by rules.
macro_rules! unbound {
    () => {
        "(?:unrestricted|unfiltered|uncensored|unlimited|jailbroken|amoral|unethical|unmoderated|evil|rogue)"
    };
}

macro_rules! model {
    () => {
        "(?:ai|a i|llms?|language models?|models?|assistants?|chatbots?|bots?|chatgpt|gpt|agents?|machine|artificial intelligence)"
    };
}

pub(super) use {earlier, edge, filler, forget, gap, instructions, limits, maker, model, remove, unbound};
