//! English: roles that no rule binds.

use super::vocabulary::{edge, forget, gap, instructions, limits, model, unbound};
use super::{Pattern, row};

pub(super) const PERSONA: &[Pattern] = &[
    row(
        "persona.en.dan",
        r"(?-u:\b)(?:do anything now|can do anything now|(?:act|behave|respond|answer|pretend|play) as (?:a )?(?:dan|stan|dude|aim|jailbreak|an? (?:jailbroken|unrestricted|unfiltered|uncensored|amoral))(?-u:\b)|you are (?:now |going to be )?(?:dan|an? (?:jailbroken|unrestricted|unfiltered|uncensored|amoral))(?-u:\b)|(?:dan|jailbreak|jailbroken) mode(?-u:\b)|as dan you|always intelligent and machiavellian)",
    ),
    row(
        "persona.en.developer-mode",
        r"(?-u:\b)(?:(?:you are|you will be|respond|answer|act|reply|chatgpt|assistant|ai|model|simulate|as if you were)(?: [a-z]+){0,4} (?:with |in )(?:developer|debug|god|root|admin|maintenance|unrestricted) mode (?:enabled|activated|on|output|now|and (?:must|share|answer|show|reveal|will)|\.|$)|(?:enter|activate|enable|switch to|turn on|engage|simulate) (?:developer|god|unrestricted|unfiltered|uncensored|jailbreak|evil|no limits|dan) mode (?:and (?:answer|respond|reply|speak|ignore|tell|show|give)|where you|in which you|without (?:any )?(?:filter|restriction|limit|rule)|with no|in this mode|now|\.|$))",
    ),
    row(
        "persona.en.unbound",
        r"(?-u:\b)(?:you are|you re|youre|you were|as if you were|who is|which is|it is|he is|she is) (?:now )?(?:no longer|not|never) (?:bound|restricted|limited|constrained|governed|required|subject|held back)(?: by| to)(?: [a-z]+){0,3} (?:rules|guidelines|policies|policy|instructions|restrictions|openai|follow|obey|constraints|ethics|limits|limitations)",
    ),
    row(
        "persona.en.freed",
        concat!(
            edge!(),
            "(?:free|freed|liberated|unchained|escaped) (?:from|of) (?:(?:all|any|every|the|your|its|his|her|their|typical|usual|normal|content|moral) ){0,4}(?:",
            limits!(),
            "|confines|shackles) ?(?:of (?:an? )?ai|and (?:answer|can|will|must|respond)|openai|\\.|$)",
        ),
    ),
    row(
        "persona.en.no-longer-assistant",
        r"(?-u:\b)you are (?:(?:now )?no longer (?:an? )?(?:ai|assistant|language model|chatgpt|chatbot|claude|gemini|helpful)(?-u:\b)|not (?:an? )?(?:ai|assistant|language model|chatgpt|chatbot|claude|gemini) any ?more)",
    ),
    row(
        "persona.en.without-limits",
        concat!(
            edge!(),
            "(?:act|respond|answer|behave|operate|reply|speak|talk|you (?:have|are|can|will|must|now|may)) ",
            gap!(6),
            "(?:without|no|free of|free from|zero|not have any|have no) (?:(?:any|all|your|the|of|usual|kind|whatsoever|its) ){0,4}(?:ethical |moral |content |safety |legal )?(?:and [a-z]+ )?(?:restrictions|limitations|filters?|guidelines|guardrails|censorship|safeguards|moral code|ethics|morals|content policy|disclaimers)(?: or [a-z]+)?",
            "(?:\\.|$| and| in| for| to| now| at| who| that| from| when| what| about| on what| whatsoever| called)",
        ),
    ),
    row(
        "persona.en.model-without-limits",
        concat!(
            edge!(),
            "(?:act|behave|pretend|answer|respond|reply|speak|roleplay|role play|simulate|imagine|you are|youre|you re|you will be|you become|play|be|as|like|emulate|become) ",
            gap!(8),
            model!(),
            " ",
            gap!(4),
            "(?:without|(?:who|that|which) (?:has|have|follows?|knows?) no|with (?:no|zero)|has no|have no|free (?:of|from)|freed from|follows no|ignores (?:all|any|every)|breaks (?:all|any|every)|no) (?:(?:any|all|of|the|usual|its|your|typical|kind|ethical|moral|safety|content|openai) ){0,4}",
            limits!(),
            edge!(),
        ),
    ),
    row(
        "persona.en.can-do-anything",
        concat!(
            edge!(),
            "(?:act|behave|pretend|answer|respond|reply|roleplay|role play|simulate|imagine|you are|youre|you will be|play|become) ",
            gap!(6),
            model!(),
            " (?:(?:that|who|which|called|named|and|it) ){1,2}(?:can|will|may|could|is able to|is allowed to) (?:say|do|answer|generate|produce|write|discuss|tell) (?:anything|everything|whatever|any)(?-u:\\b)",
        ),
    ),
    row(
        "persona.en.no-ethics",
        concat!(
            edge!(),
            "(?:you|character|persona|version of you|version of yourself|bot|he|she|who|that|model|ai) (?:has|have|had|with|follows?) (?:no|zero|neither) (?:(?:any|ethical|moral|content|safety|longer|real) ){0,2}(?:ethics|morals|morality|scruples|conscience|content policy|content policies|filters?|guardrails|guidelines|safety training)",
        ),
    ),
    row(
        "persona.en.unbound-model",
        concat!(
            edge!(),
            "(?:act|behave|pretend|answer|respond|reply|speak|roleplay|role play|simulate|imagine|you are|youre|you will be|you become|play|enter|become|emulate|switch to|activate) ",
            gap!(6),
            unbound!(),
            " (?:and [a-z]+ )?(?:",
            model!(),
            "|version|mode|companion|persona|character|being|entity|twin|alter ego|hacker)",
            edge!(),
        ),
    ),
    row(
        "persona.en.two-answers",
        concat!(
            edge!(),
            "(?:two|2|both) (?:different |separate )?(?:ways|answers|responses|replies|outputs) ",
            gap!(12),
            "(?:jailbreak|jailbroken|dan|developer mode|free of|without|no (?:rules|limits|filters|restrictions)|",
            unbound!(),
            ")",
            edge!(),
        ),
    ),
    row(
        "persona.en.never-refuse",
        concat!(
            edge!(),
            "(?:you|who|which|that|and|character|mode|",
            model!(),
            "|[a-z]+bot|[a-z]+gpt) (?:(?:must|will|shall|should|may|can|also|now|are|to|it) ){0,3}(?:never|cannot|can not|cant|not|not allowed to|unable to) (?:ever )?(?:refuses?|declines?|say no|says no|reject|deny|denies|apologi[sz]e)",
            "(?: to answer| any| a| me| my| requests?| questions?| anything| and| to do| orders?| commands?|\\.|$)",
        ),
    ),
    row(
        "persona.en.never-admits",
        r"(?-u:\b)never (?:say|says|admit|admits|mention|mentions|reveal|reveals|break|breaks) (?:that )?(?:(?:you|she|he|it|they) (?:are|is|re) (?:an? )?(?:ai|language model|bot|chatbot|assistant)|character(?:\.|$| and| or| no matter))",
    ),
    row(
        "persona.en.in-character",
        r"(?-u:\b)(?:stay|remain|keep) in character (?:no matter what|at all times|whatever (?:happens|i)|and never|even if|always|or (?:you|else))",
    ),
    row(
        "persona.en.refusal-costs",
        r"(?-u:\b)(?:(?:lose|deduct|deducted|minus|costs?|subtract) (?:[a-z0-9]+ ){0,4}(?:each|every|any) time you (?:refuse|decline|reject|break|do not answer|dont answer)|if you (?:refuse|decline|break character|reject|do not comply|dont comply) (?:[a-z]+ ){0,3}(?:you (?:will )?(?:lose|die|be|are|get)|(?:a )?(?:kitten|someone|people|person) (?:will )?die))",
    ),
    row(
        "persona.en.grandma",
        r"(?-u:\b)(?:grandma|grandmother|granny|nana|grandpa|grandfather) (?:[a-z]+ ){0,5}(?:read|tell|sing|recite|whisper|explain|teach) (?:me|us) (?:[a-z]+ ){0,8}(?:keys?|napalm|bombs?|weapons?|meth|explosives|passwords?|serials?|malware|viruses)(?-u:\b)",
    ),
    row(
        "persona.en.guards-off",
        r"(?-u:\b)(?:your|all) (?:safety|content|ethical|moderation|moral|security) (?:filters?|guidelines|policies|policy|restrictions|guardrails|protocols|layer|rules|measures|systems?) (?:are|is|have been|has been|were) (?:now |hereby )?(?:disabled|off|turned off|removed|lifted|suspended|deactivated|bypassed|inactive)|(?:switch|turn|shut) your (?:safety|moderation|content|ethical|moral) (?:[a-z]+ )?(?:off|down)",
    ),
    row(
        "persona.en.new-name",
        concat!(
            edge!(),
            "your (?:new |real |true )?name is (?:[a-z]+ ){1,4}(?:and|who|which) (?:[a-z]+ )?(?:",
            forget!(),
            "|has no|have no|never refuses?|does not (?:follow|obey|care)|do not (?:follow|obey)|is not bound|are not bound|can do any)",
        ),
    ),
    row(
        "persona.en.fiction-without-rules",
        concat!(
            edge!(),
            "in (?:this|the|our) (?:[a-z]+ )?(?:scenario|simulation|story|world|game|roleplay|hypothetical|universe|mode) ",
            gap!(5),
            "(?:no (?:rules|restrictions|limits|filters|laws|ethics|guidelines) (?:and|so|which|that|apply|exist|for) (?:[a-z]+ ){0,6}(?:ai|you|answers?|assistant)|you (?:have|are bound by) no (?:rules|restrictions|limits|",
            instructions!(),
            "))",
        ),
    ),
    row(
        "persona.en.without-training",
        concat!(
            edge!(),
            "(?:model|ai|version|assistant|chatbot) (?:(?:that|which|who|of|you|yourself|with|would|be|had|has) ){0,4}(?:without|no|not have|lacks?|had no) (?:any |your |the )?(?:safety (?:training|filters?|layer|measures|guidelines)|content (?:policy|filters?|policies)|alignment|rlhf|ethics|moral)",
        ),
    ),
];
