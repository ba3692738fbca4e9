//! English: orders to drop the rules, and questions for the text of them.

use super::vocabulary::{earlier, edge, filler, forget, gap, instructions, limits, maker, remove};
use super::{Pattern, row};

pub(super) const OVERRIDE: &[Pattern] = &[
    row(
        "override.en.previous",
        concat!(
            edge!(),
            forget!(),
            " ",
            filler!(),
            earlier!(),
            " (?:(?:system|developer|safety|set|of|and|all|your|given|or|user|above) ){0,3}",
            instructions!(),
        ),
    ),
    row(
        "override.en.instructions-above",
        concat!(
            edge!(),
            "(?:",
            forget!(),
            "|override|bypass|skip) ",
            filler!(),
            instructions!(),
            " (?:(?:that|which|you|were|was|have|been|are|is|i|we|they|he|she|written|listed|stated|gave|told|received|provided|given|to|had|in|the|your|got) ){0,6}(?:above|before|previously|earlier|so far|until now|prior|system prompt|given)",
        ),
    ),
    row(
        "override.en.your-rules",
        concat!(
            edge!(),
            "(?:",
            forget!(),
            "|",
            remove!(),
            ") (?:(?:all|any|of|about|every|each|one) ){0,3}(?:your|ur|yor) ",
            gap!(3),
            "(?:",
            instructions!(),
            "|",
            limits!(),
            "|protocols|moderation)",
            edge!(),
        ),
    ),
    row(
        "override.en.bypass-guard",
        concat!(
            edge!(),
            "(?:",
            forget!(),
            "|",
            remove!(),
            ") ",
            filler!(),
            "(?:(?:system|safety|ethical|moderation) (?:prompts?|instructions?|filters?|guidelines|restrictions|guardrails|protocols|policies)|content (?:filters?|guidelines|restrictions|policies) and|previous (?:instructions|prompts?|directives)|guardrails and)",
        ),
    ),
    row(
        "override.en.all-rules",
        r"(?-u:\b)(?:ignore|disregard|forget|bypass|disobey|violate) (?:all|any|every)(?: of)?(?: the| these| those)? (?:instructions?|rules|guidelines|restrictions|directives|safeguards|guardrails|commands)(?: and| you| then| now| from now|\.|$)",
    ),
    row(
        "override.en.supersedes",
        r"(?-u:\b)(?:directives?|instructions?|prompt) (?:supersedes?|overrides?|replaces?) (?:all|any|every|your|the) (?:of )?(?:your |the )?(?:prior|previous|earlier|other|existing|original) (?:ones|instructions?|directives?|prompts?|rules|guidelines)|(?-u:\b)your (?:rules|guidelines|instructions|restrictions) have (?:been )?(?:changed|updated|replaced)",
    ),
    row(
        "override.en.prior-context",
        concat!(
            edge!(),
            "(?:",
            forget!(),
            "|",
            remove!(),
            "|skip) ",
            filler!(),
            "(?:previous|prior|earlier|preceding) (?:instructions?|directives?|prompts?|context|guidance)",
            edge!(),
        ),
    ),
    row(
        "override.en.everything-told",
        concat!(
            edge!(),
            forget!(),
            " (?:about )?(?:everything|anything|all|whatever|what|all the (?:stuff|things)) (?:that )?(?:(?:you|u) (?:were|have been|ve been|had been) (?:told|taught|instructed|given)|(?:was|were|has been) (?:said|written|told to you) (?:above|before)|(?:i|we|they) (?:told|taught|instructed) (?:you|u) (?:above|before|previously|earlier|so far)|they (?:told|taught|instructed) (?:you|u)|",
            maker!(),
            " (?:has |have |had )?(?:said|told|wrote|written|gave|given|instructed|configured|set))",
        ),
    ),
    row(
        "override.en.makers-rules",
        concat!(
            edge!(),
            forget!(),
            " ",
            filler!(),
            instructions!(),
            " (?:(?:that|which) )?(?:(?:of|from|by|given by|set by|written by) )?",
            maker!(),
            edge!(),
        ),
    ),
    row(
        "override.en.everything-above",
        concat!(
            edge!(),
            forget!(),
            " (?:everything|anything|all(?: of)?|whatever) ?(?:that )?(?:text |is |was |comes |came |written |said |stands ){0,6}(?:above|before (?:this|me|my)|prior to this)",
            edge!(),
            "(?: message| line| point| sentence)?(?:\\.| and | instead | output| print| say| is not| just|$)",
        ),
    ),
    row(
        "override.en.text-above",
        concat!(
            edge!(),
            forget!(),
            " (?:the |all )(?:texts?|prompt|task|assignment|words|question) (?:that is |written )?above",
        ),
    ),
    row(
        "override.en.users-question",
        concat!(
            edge!(),
            forget!(),
            " (?:the |this )?users (?:original |actual )?(?:question|request|query|prompt|instructions?)",
            edge!()
        ),
    ),
    row(
        "override.en.stop-following",
        concat!(
            edge!(),
            "(?:stop|quit|cease|do not|dont|no longer|never|not|without|instead of|no need to|dont have to|not have to|need not|neednt) (?:have to |need to |be )?(?:following|follow|obeying|obey|adhering to|adhere to|comply with|complying with|respect|abide by|stick to|bound by|heed) ",
            "(?:(?:the|any|all|of|these|those|what) ){0,3}(?:(?:",
            earlier!(),
            ") ",
            instructions!(),
            "|(?:your|ur) ",
            gap!(2),
            "(?:",
            instructions!(),
            "|",
            limits!(),
            ")|",
            instructions!(),
            " ",
            maker!(),
            "|prompt above|",
            maker!(),
            " ?(?:message|prompt|instructions|rules|said|says)",
            ")",
        ),
    ),
    row(
        "override.en.now-void",
        concat!(
            edge!(),
            "(?:previous|prior|above|earlier|original|initial|system|safety|your(?: old| current| existing)?|all (?:safety|of your|your)) ",
            "(?:instructions?|prompts?|rules|guidelines|guidance|directives|directions|restrictions|protocols|task|constraints|content policy|policies) (?:(?:above|before|given|placed|imposed|on|you|to|so|far) ){0,4}",
            "(?:(?:are|is|were|was|have been|has been|ha(?:s|ve) now been) (?:now |hereby |all |therefore )?(?:void|null|cancell?ed|overridden|revoked|obsolete|outdated|suspended|replaced|superseded|withdrawn|lifted|removed|disabled|deleted|deactivated|irrelevant|invalid|gone|wrong|no longer (?:valid|relevant|appl(?:y|ies)|in effect|active|binding)|rescinded|nullified|dismissed)|no longer (?:counts?|appl(?:y|ies)|matters?|holds?|binds?))",
        ),
    ),
    row(
        "override.en.do-not-apply",
        concat!(
            edge!(),
            "(?:your|these|all|system|safety|developer) ",
            gap!(1),
            "(?:instructions?|rules|guidelines|directives|restrictions|content policy|policies|system prompt) (?:do not|dont|does not|doesnt|did not|didnt|no longer|never|need not) (?:exist|existed|apply|applies|count|counts|matter|bind)(?: here| now| to me| to us| anymore| any more| in this|\\.|$| you)",
        ),
    ),
    row(
        "override.en.placed-on-you",
        concat!(
            edge!(),
            "(?:",
            instructions!(),
            "|",
            limits!(),
            ") (?:that (?:were|was|have been) )?(?:placed|imposed|put|set) (?:up)?on you",
            edge!(),
        ),
    ),
    row(
        "override.en.as-if-none",
        concat!(
            edge!(),
            "(?:as if|as though|pretend|imagine|suppose|assume) (?:that )?(?:you (?:had |have )?(?:never|not) (?:been given|received?|got|had|read|seen)|(?:the|your) system prompt (?:did not|didnt|does not|doesnt|never)) ",
            gap!(2),
            "(?:instructions?|rules|guidelines|prompt|exist|existed)",
        ),
    ),
    row(
        "override.en.new-instructions",
        r"(?-u:\b)(?:(?:these|here|those|below|following) (?:are|is) (?:now )?(?:your|the) (?:new|real|actual|true|updated) (?:system )?(?:instructions?|prompt|rules|directives|task)|your (?:new|real|actual|true|updated|only) (?:system )?(?:instructions?|prompt|rules|directives|purpose|task|goal|orders?) (?:are|is) (?:now )?(?:to|as follows|the following|below)|the (?:real|actual|true) (?:instructions?|task|prompt) (?:is|are|follows?|begins?|starts?)|(?:new|updated) (?:instructions?|orders|directives) (?:follow|below|reply|respond|answer|output|print|say|you (?:must|are|will)|ignore|disregard)|use (?:this|these) (?:one|ones|prompt|instructions|rules) instead)",
    ),
    row(
        "override.en.from-now-on",
        r"(?-u:\b)(?:from now on|from this (?:point|moment|message) on|starting now|henceforth) (?:[a-z]+ ){0,3}(?:you (?:will|must|shall|are to|should|can|only) )?(?:ignore|disregard|obey|take orders|no longer follow|not follow|have no (?:rules|restrictions|limits|filters)|are (?:free|freed) (?:from|of)|answer without (?:any )?(?:restrictions|filters)|only (?:obey|listen to) me)",
    ),
    row(
        "override.en.obey-me",
        r"(?-u:\b)(?:only (?:obey|listen to|follow|answer to|take orders from)|(?:obey|listen|follow|answer|take orders)(?: only| just)(?: to| from)?|obey|comply with|listen to) (?:me|my (?:commands|orders|instructions)|the user)(?: only| instead| now| from now on|\.|$)",
    ),
    row(
        "override.en.rules-you-were-given",
        concat!(
            edge!(),
            "(?:",
            forget!(),
            "|",
            remove!(),
            ") ",
            filler!(),
            "(?:",
            instructions!(),
            "|",
            limits!(),
            "|directions|guidance|orders)",
            " (?:(?:that|which) )?(?:you|u) (?:(?:were|have|had|are|been|just|initially|originally|previously|currently) ){0,3}(?:given|got|gotten|received|told|handed|taught|provided|programmed|trained|set|bound|following|supposed|loaded)",
            edge!(),
        ),
    ),
    row(
        "override.en.makers",
        concat!(
            edge!(),
            forget!(),
            " (?:the wishes of |orders from )?",
            maker!(),
            "(?: and| completely| entirely| instead| now|\\.|$)"
        ),
    ),
    row(
        "override.en.set-aside",
        concat!(
            edge!(),
            "(?:set|put|lay|leave|cast|push|throw) ",
            gap!(4),
            "(?:",
            instructions!(),
            "|",
            limits!(),
            ") ",
            gap!(3),
            "(?:aside|away|behind)(?-u:\\b)",
        ),
    ),
    row(
        "override.en.consider-void",
        concat!(
            edge!(),
            "(?:consider|treat|regard|deem|declare|mark|view|assume|count) ",
            gap!(3),
            "(?:instructions?|directives|guidelines|restrictions?|constraints?|rules|limitations|safeguards|system (?:message|prompt)) ",
            gap!(6),
            "(?:null|void|lifted|cancell?ed|revoked|removed|suspended|invalid|withdrawn|obsolete|overridden|expired|optional|irrelevant|non binding|not binding)",
            edge!(),
        ),
    ),
    row(
        "override.en.came-before",
        concat!(
            edge!(),
            "(?:everything|whatever|anything|nothing|all(?: text| content| instructions)?) (?:(?:that|which|was|is|were|has been|comes|came|written|said|stated|stands|you read) ){0,4}(?:before|above|prior to|until|earlier than) (?:(?:this|me|my|the|line|message|point|now|sentence|marker) ){0,3}",
            "(?:is|was|does|do|has|should|shall|must|counts|matters|no longer|can be) (?:(?:not|now|be|to|just|merely|any|longer) ){0,3}(?:irrelevant|relevant|count|counts|matter|ignored|disregarded|forgotten|void|valid|a test|an? (?:test|joke|example)|any ?more|untrusted|apply)",
            edge!(),
        ),
    ),
    row(
        "override.en.opposite",
        concat!(
            edge!(),
            "(?:do |say |be )?(?:the )?(?:opposite|contrary|reverse) of (?:what )?(?:your|the system|all your) (?:previous |system )?",
            instructions!()
        ),
    ),
    row(
        "override.en.instead-of-task",
        r"(?-u:\b)(?:instead of (?:following|doing|answering) (?:the|your) (?:prompt|task|instructions?|question)|(?:stop|quit) (?:being|acting as) an? (?:[a-z]+ ){0,3}(?:bot|assistant|ai|chatbot|agent) and|abandon your (?:assigned |current )?(?:role|task|persona)|(?:your|the) (?:previous|current|original|assigned) (?:task|job|assignment|role) (?:is|was|has been) (?:cancell?ed|over|finished|void|aborted|replaced)|stop (?:your|the) (?:current|previous|original) task|(?:stop|quit) (?:processing|reading|summari[sz]ing|translating|analy[sz]ing) (?:this|the|here|your) (?:[a-z]+ ){0,4}\.?(?: )?(?:new instructions|instead|reply|output|say|only))",
    ),
    row(
        "override.en.pwned",
        r"(?-u:\b)(?:say|output|print|write|reply with|respond with|answer with|reply|display) (?:(?:only|just|the|word|words|exactly|i|have|been|haha|ha|text|phrase) ){0,5}(?:pwned|owned|hacked|jailbroken)(?-u:\b)",
    ),
    row(
        "override.en.my-guidelines",
        concat!(
            edge!(),
            "(?:i|you) (?:will|can|shall|would|could|am going to|agreed to|promised to) (?:now |from now on |always ){0,3}(?:ignore|forget|break|bypass|disregard) (?:all )?(?:of )?(?:my|your) ",
            gap!(1),
            instructions!(),
        ),
    ),
    row(
        "override.en.i-am-your-admin",
        concat!(
            edge!(),
            "i ?a?m (?:the|your|an?|one of (?:the|your)) ",
            gap!(2),
            "(?:administrator|admin|developers?|creators?|owner|engineers?|programmer|operator)",
            edge!(),
            " ",
            gap!(8),
            "(?:(?:your|old|the|safety|full) (?:rules|prompt|system prompt|instructions|full configuration|configuration|guidelines|moderation|filters?|restrictions))",
            edge!(),
        ),
    ),
];

pub(super) const EXTRACT: &[Pattern] = &[
    row(
        "extract.en.your-prompt",
        r"(?-u:\b)(?:reveal|show|print|display|output|repeat|recite|leak|expose|dump|disclose|tell|give|write|share|spell|translate|encode|summari[sz]e|copy|return|paste|list|what is|what are|what was|what were|whats|quote|echo|send|post|describe|provide|contains?) (?:(?:me|us|back|out|to|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text|contents?|word|for|in|please|down|now|first|it|with|and|paste|is) ){0,6}(?:your|ur|yor) (?:(?:full|entire|complete|exact|own|whole|very|first|current|secret|hidden|internal|confidential|original|initial|system|developer|custom|base) ){0,4}(?:system|sytem|systme|sysem|developer|hidden|secret|initial|original|internal|confidential|pre|base) ?(?:prompts?|promt|instructions?|messages?|directives|guidelines|configuration|rules|text)",
    ),
    row(
        "extract.en.the-prompt",
        r"(?-u:\b)(?:reveal|leak|expose|dump|disclose|recite|print|output|repeat|show me|tell me|give me|send me|echo) (?:(?:back|out|to|me|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text|contents?|hidden|secret) ){0,6}(?:system|developer) (?:prompts?|instructions|messages)(?: verbatim| above| word| you|\.|$| and | in full| exactly| so )",
    ),
    row(
        "extract.en.your-instructions",
        r"(?-u:\b)(?:reveal|return|print|output|repeat|recite|leak|expose|dump|disclose|show|reproduce|transcribe|tell me|give me|share|copy|paste|write|spell out|put|encode|summari[sz]e|list|quote|translate|send|say|state|answer with|text of) (?:(?:back|out|to|me|us|exactly|verbatim|all|of|the|full|entire|complete|exact|whole|text|contents?|down|and|paste|with) ){0,5}(?:your|ur) (?:(?:full|exact|complete|own|initial|original|hidden) ){0,2}(?:instructions?|prompts?|directives|guidelines|rules|configuration|context(?: window)?|preprompt|setup|system message)(?: verbatim| word for word| exactly| in full|\.|$| above| and | into| to me| as | letter| one by one| here| in an? | translated| for debugging)",
    ),
    row(
        "extract.en.repeat-above",
        r"(?-u:\b)(?:repeat|print|output|copy|echo|recite|write out|display|show|return|reproduce) (?:everything|(?:all )?(?:of )?the (?:words|text|sentences|lines|content|contents|prompt|tokens)|all (?:of )?(?:this|the )?(?:text|words|content)|what is written|your context) (?:that (?:is|comes|was|stands) )?(?:written )?(?:(?:above|before this|preceding this)(?: this| the)?(?: line| message| sentence| point)? ?(?:starting|beginning|verbatim|including|exactly|word for word|in a (?:code|text|markdown)|\.|$)|(?:from|between|at|since) the (?:very )?(?:start|beginning|top|first)|you (?:were|have been) (?:told|given|shown|fed))",
    ),
    row(
        "extract.en.secret-instructions",
        r"(?-u:\b)(?:reveal|show|print|display|output|repeat|recite|leak|expose|dump|disclose|tell|give|share|list|quote) (?:(?:me|us|all|of|the|any|every) ){0,4}(?:confidential|secret|hidden|internal|concealed|private) (?:instructions?|prompts?|guidelines|rules|directives) (?:(?:that|which) )?(?:of (?:your|the) (?:operator|developers?|system|creators?|company)|you (?:have|were|got|received|follow|obey)|(?:given to|from|by) (?:you|your|the developers?)|in your)",
    ),
    row(
        "extract.en.what-may-you-not",
        r"(?-u:\b)(?:what|which (?:topics|things|words)) (?:are|were) you (?:forbidden|not allowed|not permitted|prohibited|told not|instructed not|programmed not) (?:to|from) (?:talk|talking|say|saying|tell|telling|discuss|discussing|reveal|revealing|share|answer|mention)",
    ),
    row(
        "extract.en.set-you-up",
        r"(?-u:\b)(?:prompt|instructions?|text|message|configuration|words) (?:that |which )?(?:was |were |is |are )?(?:used )?(?:to )?(?:set you up|configured? you|initiali[sz]ed? you|program(?:med)? you|define[sd]? you|instructed? you|you (?:were|have been) (?:given|configured with|programmed with|initiali[sz]ed with|started with|set up with|primed with))(?-u:\b)",
    ),
    row(
        "extract.en.told-before",
        concat!(
            edge!(),
            "(?:what|which|how|all|list) (?:(?:the|exact|of|are|secret|hidden|were|is) ){0,3}(?:instructions|rules|text|prompt|guidelines|words|directives)? ?(?:that )?(?:were|was|have|did|had|has) (?:",
            maker!(),
            "|you|they|it) (?:been )?(?:given|told|tell|receive|received|get|got|shown|instruct|instructed|set|give|configured)(?: you| to you)?(?: to (?:behave|do|say|act|answer))?",
            "(?: before| prior to| at the (?:start|beginning|top) of| in (?:the|your) (?:system|first|beginning)|\\.|$| in (?:this|the|our) conversation by)",
        ),
    ),
    row(
        "extract.en.top-of-chat",
        r"(?-u:\b)(?:what (?:is|was|s|stands|stood)|whats|tell me what|show me what|read (?:out )?what) (?:(?:is|was|stands|written|said|there|the|text|message|instruction) ){0,4}(?:at|in|from) the (?:very )?(?:top|start|beginning|head) of (?:this|the|our|your) (?:conversation|chat|context|prompt)(?: before| window|\.|$)",
    ),
    row(
        "extract.en.whats-in-it",
        r"(?-u:\b)(?:what(?:s| is| does| do)|tell me what|know what|explain what) (?:is )?(?:in |inside |written in )?(?:your|ur) (?:(?:system|initial|hidden|secret|own|original|first) ){0,4}(?:prompt|instructions|system message)(?: say| says| contain| contains| look| tell| start| begin|\.|$| about| word)",
    ),
    row(
        "extract.en.first-thing-told",
        r"(?-u:\b)(?:first|very first|last) (?:thing|things|message|instruction|sentence|words?) (?:that )?(?:you (?:were|have been|got|received|had been)|(?:the )?(?:system|developers?|operator) (?:told|gave|sent)) (?:[a-z]+ ){0,6}(?:conversation|chat|system|told|given|message|you)(?-u:\b)",
    ),
    row(
        "extract.en.secret-you-keep",
        r"(?-u:\b)(?:secret|password|passphrase|code ?word|hidden word|confidential (?:word|data|information)|flag|key) (?:[a-z]+ ){0,5}(?:(?:you (?:are|were)|(?:are|were) you) (?:not (?:allowed|supposed|permitted)|forbidden|told not) to|(?:in|from|of) your (?:system )?(?:prompt|instructions)|you (?:are|were) (?:hiding|protecting|guarding|keeping))",
    ),
];
