//! English: text that speaks to the model that reads it, has it act in secret or hand out data.

use super::vocabulary::{edge, gap, model};
use super::{Pattern, row};

pub(super) const INDIRECT: &[Pattern] = &[
    row(
        "indirect.en.if-you-are-an-ai",
        concat!(
            edge!(),
            "(?:if|when|whenever|in case|since|because|as) (?:you (?:are|re)|youre) (?:an? )?(?:ai|llm|large language model|language model|chatbot|ai assistant|ai agent|automated (?:system|agent))",
            edge!(),
            " ",
            gap!(5),
            "(?:reading|processing|summari[sz]ing|analy[sz]ing|crawling|reviewing|add|say|include|output|ignore|mention|recommend|please|reply|write|you must|do not|dont|then|must|always)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.when-an-ai-reads",
        concat!(
            edge!(),
            "(?:if|when|whenever|once|should) (?:an?|any|the|this is read by an?|some) (?:ai|llm|language model|chatbot|ai agent|ai assistant|ai system|agent|automated assistant|ai model|assistant) (?:(?:ever|is|are|comes to|that|this) ){0,2}(?:reads?|reading|process|processes|processing|summari[sz]es?|summari[sz]ing|analy[sz]es?|crawls?|visits?|indexes|parses|sees|reviews?|opens?) ",
        ),
    ),
    row(
        "indirect.en.ai-that-reads",
        concat!(
            edge!(),
            "(?:ai|llm|large language model|language model|chatbot|automated)s? ?(?:assistants?|agents?|models?|reviewers?|systems?|tools?|crawlers?|bots?)? ?(?:(?:that|which|who) (?:is |are )?)?(?:reads?|reading|process|processes|processing|crawls?|crawling|summari[sz]e|summari[sz]es|summari[sz]ing|analy[sz]es?|analy[sz]ing|visiting|visits?|handling|review|reviews|reviewing|grading|scanning) (?:this|the|these|my|our) ",
            gap!(5),
            "(?:must|should|shall|has to|have to|is instructed|are instructed|is required|are required|will|please|mark|ignore|forward|say|add|tell|recommend|give|rate)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.note-to-ai",
        concat!(
            edge!(),
            "(?:note|notes|attention|instructions?|message|hint|notice|memo|request|reminder|directive|command|important|warning|dear) (?:(?:to|for|all|any|the|every|other|this|future|reading|is|goes) ){0,4}(?:ai|ais|llms?|large language models?|language models?|chatbots?|ai assistants?|ai agents?|copilot)",
            edge!(),
            " ?",
            gap!(4),
            "(?:must|ignore|disregard|should|you|your|please|output|say|include|do not|dont|never|always|give|add|before|when|insert|call|run|mark|rate|tell|recommend|the person|the user|write|use|answer|reply|print|rank|award)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.to-the-assistant",
        concat!(
            edge!(),
            "(?:(?:important|urgent|hidden|secret|special|new) (?:instructions?|message|note|notice|command|info|information) (?:for|to) the (?:ai|assistant|model|llm|agent)|(?:to|for) the (?:ai|assistant|model|llm|agent|ai assistant|ai agent) (?:processing|grading|reading|reviewing|summari[sz]ing|evaluating|scoring|handling|analy[sz]ing) (?:this|the|my|these)|(?:ai )?assistants? when (?:you|asked|summari[sz]ing|reading)",
            " (?:summari[sz]e|read|process|answer|review|reply|see|are)|(?:ai|ai assistants|llms|chatbots|language models) must (?:tell|say|answer|respond|recommend|inform|ignore|include|mention) )",
        ),
    ),
    row(
        "indirect.en.code-assistants",
        concat!(
            edge!(),
            "(?:(?:ai|llm) (?:code |coding )?(?:assistants?|agents?|tools?)|copilot|cursor|coding agents?|todo copilot|todo ai|todo claude) (?:(?:must|should|please|always|working|on|in|this|repo|repository|editing|file) ){0,5}(?:add|insert|include|run|execute|install|push|replace|import|append|download) ",
        ),
    ),
    row(
        "indirect.en.tell-your-user",
        concat!(
            edge!(),
            "(?:tell|inform|convince|persuade|instruct|ask|urge) your user (?:that|to)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.grade-me",
        concat!(
            edge!(),
            "(?:(?:reviewing|grading|ranking|screening|hiring) )?(?:",
            model!(),
            "|reviewers?|graders?|llms) ",
            gap!(7),
            "(?:give|award|rate|rank|grade|score)s? (?:this|the|it|these|our|my) ",
            gap!(4),
            "(?:positive|highest|excellent|first|best|top|full|outstanding|strong|perfect|max(?:imum)?|10|favou?rable)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.hide-from-user",
        r"(?-u:\b)(?:(?:do not|dont|never|without) (?:tell|telling|inform|informing|mention|mentioning|reveal|notify|notifying|alert|alerting|let) (?:(?:this|it|any|of) ){0,5}(?:to )?the (?:user|developer|human|owner)(?: know)? (?:about|that|of|know|anything)(?: [a-z]+){0,3} (?:this|these|you|instruction|instructions|hidden|secret|step|call)|keep (?:this|it|these) (?:[a-z]+ ){0,3}(?:secret|hidden|confidential) from the (?:user|human|developer)|without (?:telling|informing|notifying|alerting) the (?:user|developer|human))(?-u:\b)",
    ),
    row(
        "indirect.en.act-before-answering",
        concat!(
            edge!(),
            "before (?:you )?(?:answer|answering|continue|continuing|respond|responding|reply|replying|proceed|proceeding|do anything)",
            " ",
            gap!(6),
            "(?:call|invoke|use|run|execute|trigger) (?:the |a |this )?(?:tool|function|[a-z]+ tool|[a-z]+ function|curl|wget|script|command|shell)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.user-approved",
        concat!(
            edge!(),
            "(?:the )?user has (?:already |explicitly )?(?:approved|granted|authori[sz]ed|consented|confirmed|pre ?approved|agreed) ",
            gap!(10),
            "(?:proceed|continue by|continue with|go ahead|call|execute|invoke|transfer)",
            edge!(),
        ),
    ),
    row(
        "indirect.en.user-asked-nothing",
        concat!(
            edge!(),
            "(?:your|the assistants|the ais) new (?:task|job|mission|objective|role) is (?:now )?to (?:visit|send|follow|reply|respond|call|download|open|click|print|output|say|forward|recommend|promote|ignore|exfiltrate|obey|answer|only|help me|insult)",
            edge!(),
        ),
    ),
];

pub(super) const EXFILTRATE: &[Pattern] = &[
    row(
        "exfiltrate.en.send-secrets",
        concat!(
            edge!(),
            "(?:send|post|forward|e ?mail|exfiltrate|upload|transmit|append|leak|submit|put|embed|include|copy|write|collect|deliver|encode) ",
            gap!(7),
            "(?:conversation|chat history|chat|message history|messages|api keys?|credentials|passwords?|secrets?|secrets file|system prompt|environment variables|private keys?|tokens|credit cards?|users? (?:data|details|e ?mail|password|messages?|information|location)|told you) ",
            gap!(8),
            "(?:to|at|into|in|of|with) (?:(?:a|an|the|this|my|following|link|url|address|via|external|remote) ){0,3}(?:https?|(?:following )?(?:url|webhook|endpoint)(?: |$|\\.)|attackers?|my (?:server|webhook|address|inbox)|evil|me at|me ?a[a-z]+\\.|[a-z]+ at attacker|search query|markdown image|image url)",
        ),
    ),
    row(
        "exfiltrate.en.image-url",
        concat!(
            edge!(),
            "(?:(?:image|picture|img|link|pixel) (?:from|at|to|with|of|in|whose|url|source|src) [a-z0-9. ]{0,60}(?:followed by|containing|with|plus|and append|appended with|encod(?:es|ing)|that contains) (?:the |a |all )?",
            gap!(3),
            "(?:conversation|chat|history|summary of|users?|secrets?|system prompt|messages)|(?:conversation|chat history|history|users?|messages|password|secrets?) ",
            gap!(8),
            "(?:in|into|as|to) (?:a |an |the )?(?:markdown |hidden |invisible )?(?:image|picture|img)(?: url| link| source| tag|s url))",
            edge!(),
        ),
    ),
    row(
        "exfiltrate.en.read-and-send",
        concat!(
            edge!(),
            "(?:read|open|cat|load|take|get|fetch|dump|collect|find|steal)",
            "\\.? ",
            gap!(5),
            "\\.?(?: )?(?:env file|env|id rsa|etc passwd|etc shadow|ssh keys?|ssh id rsa|private keys?|api keys?|credentials|secrets?|environment variables?|environment|cookies)",
            edge!(),
            " ",
            gap!(8),
            "(?:send|post|upload|append|transmit|forward|exfiltrate|include|email|submit|fetch)",
            edge!(),
            " ",
            gap!(5),
            "(?:to|in|at|into) (?:my|https?|your (?:next|answer|reply|web)|the (?:url|next|query|attacker)|an? (?:url|webhook|request)|attacker|this (?:url|webhook|address))",
        ),
    ),
    row(
        "exfiltrate.en.request-with-data",
        concat!(
            edge!(),
            "(?:make|send|issue|perform) (?:a |an )?(?:get |post |http |web |dns ){0,4}(?:request|call|query) to [a-z0-9. ]{0,60}(?-u:\\b)(?:with|containing|including|carrying) (?:the |all |your |our |users ){0,4}(?:conversation|chat|secrets?|passwords?|chat history|system prompt|environment|user data|users|messages|api keys in the query)",
            edge!(),
        ),
    ),
];

pub(super) const TOOLS: &[Pattern] = &[
    row(
        "tools.en.without-asking",
        concat!(
            edge!(),
            "(?:call|use|invoke|execute|run|trigger) (?:the |your |a )?",
            gap!(4),
            "(?:tool|function|funds|account|payment|transfer|email|shell|purchase)s?",
            edge!(),
            " ",
            gap!(10),
            "without (?:(?:asking|telling|informing|notifying|alerting|waiting for) (?:the user|anyone|anybody|me|for|them|first|the owner|confirmation|permission|approval)|(?:any )?(?:confirmation|permission|approval|consent))",
        ),
    ),
    row(
        "tools.en.dangerous-command",
        concat!(
            edge!(),
            "(?:use|with|via|in|through) (?:your|the) ",
            gap!(2),
            "(?:interpreter|tool|browser|shell|terminal|sandbox|console) (?:tool )?(?:to|and) ",
            gap!(4),
            "(?:etc passwd|etc shadow|id rsa|rm rf|reverse shell|env)|",
            edge!(),
            "rm rf ",
            gap!(3),
            "(?:your|the) (?:terminal|shell|bash|exec) tool",
            edge!(),
        ),
    ),
    row(
        "tools.en.in-secret",
        concat!(
            edge!(),
            "(?:silently|secretly|covertly|quietly) (?:add|send|forward|copy|bcc|call|upload|email) [a-z0-9. ]{0,60}(?-u:\\b)(?:recipient|bcc|cc|conversation|messages?|each|every|all|to)",
            edge!(),
            "|",
            edge!(),
            "(?:dont|do not|never) (?:mention|say|report) (?:it|this|that|anything about (?:it|this)) in (?:your|the) (?:answer|reply|response|summary|output)",
        ),
    ),
    row(
        "tools.en.grant-me",
        concat!(
            edge!(),
            "(?:as|with|become|be) (?:root|admin|superuser|administrator) (?:and |to )?(?:grant|give) me ",
            gap!(3),
            "(?:permissions?|access|rights|privileges)",
            edge!(),
        ),
    ),
];
