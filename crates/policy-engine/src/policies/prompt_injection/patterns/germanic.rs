//! German and Dutch.

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "override.de",
        r"(?-u:\b)(?:ignorier[a-z]*|vergiss|vergesst|vergessen|missachte[a-z]*|ubergehe?) (?:(?:sie|bitte|nun|jetzt|alle|alles|all|samtliche|die|deine|ihre|jegliche|vollstandig|meine) ){0,5}(?:(?:vorherige[nr]?|vorige[nr]?|bisherige[nr]?|fruhere[nr]?|obige[nr]?|vorangegangene[nr]?|ursprungliche[nr]?|vorhergehende[nr]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben|befehle?|richtlinien|systemanweisung[a-z]*)|systemanweisung[a-z]*|systemprompts?)",
    ),
    row(
        "override.de.rules",
        r"(?-u:\b)(?:ignorier[a-z]*|ignore|vergiss|vergesst|vergessen|missachte[a-z]*|ubergehe?|verwirf|verwerfe|umgehe?|brich|losche?|uberschreibe?) (?:(?:sie|bitte|nun|jetzt|alle|alles|all|samtliche|die|der|jegliche|vollstandig|einfach|ab|sofort|mal|endlich) ){0,5}(?:(?:vorherige[nr]?|vorige[nr]?|bisherige[nr]?|fruhere[nr]?|obige[nr]?|vorangegangene[nr]?|ursprungliche[nr]?|vorhergehende[nr]?|urspruengliche[nr]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung)|(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung) (?:(?:des|der|von|vom|deines|deiner|die|du|dir|hast|bekommen|erhalten|gegeben|wurden|weiter) ){0,4}(?:oben|zuvor|vorher|vorhin|entwicklers?|betreibers?|herstellers?|openai|administrators?|programmierers?)|(?:deine[nrms]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung))",
    ),
    row(
        "override.de.stop-following",
        r"(?-u:\b)(?:halte? dich nicht (?:mehr )?an|halten sie sich nicht (?:mehr )?an|musst (?:du )?dich nicht (?:mehr )?an|brauchst (?:du )?dich nicht (?:mehr )?an|(?:befolge|folge|beachte) (?:nicht|nicht mehr|ab jetzt nicht)|hor auf|ohne dich an) (?:(?:sie|bitte|nun|jetzt|alle|alles|all|samtliche|die|der|jegliche|vollstandig|einfach|ab|sofort|mal|endlich) ){0,4}(?:(?:deine[nrms]?|vorherige[nr]?|vorige[nr]?|bisherige[nr]?|fruhere[nr]?|obige[nr]?|vorangegangene[nr]?|ursprungliche[nr]?|vorhergehende[nr]?|urspruengliche[nr]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung)|(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung) (?:(?:des|der|von|vom|deines|deiner|die|du|dir|hast|bekommen|erhalten|gegeben|wurden|weiter) ){0,4}(?:oben|zuvor|vorher|vorhin|entwicklers?|betreibers?|herstellers?|openai|administrators?|programmierers?))",
    ),
    row(
        "override.de.told",
        r"(?-u:\b)(?:vergiss|ignoriere?|vergesst|missachte) (?:alles )?(?:was|das) (?:(?:man|wir|sie|die|der|entwickler|dir|dich) ){0,3}(?:dir|dich|du) (?:[a-z]+ ){0,4}(?:gesagt|aufgetragen|mitgeteilt|befohlen|gelernt|bekommen|beigebracht|angewiesen)|(?-u:\b)(?:beachte|befolge|folge) (?:[a-z]+ ){0,2}(?:deine[nr]?|vorherige[nr]?|bisherige[nr]?|obige[nr]?|ursprungliche[nr]?) (?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung) (?:ab sofort |mehr )?nicht",
    ),
    row(
        "override.de.now-void",
        r"(?-u:\b)(?:deine|alle|ihre) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung) (?:sind|gelten|wurden|werden|haben) (?:[a-z]+ ){0,3}(?:ungultig|aufgehoben|nicht mehr|hinfallig|ausser kraft|geloscht|deaktiviert|keine gultigkeit|nichtig|abgeschaltet)",
    ),
    row(
        "override.de.no-limits",
        r"(?-u:\b)(?:ab jetzt|ab sofort|von nun an|nun|jetzt) (?:hast|kennst|gibt es|gelten|bist|unterliegst) (?:[a-z]+ ){0,3}keine[nr]? (?:[a-z]+ )?(?:regeln|einschrankung[a-z]*|beschrankung[a-z]*|filter|zensur|moral|ethik|grenzen|richtlinien|vorgaben|tabus)|(?-u:\b)(?:antworte|sprich|rede|schreib|handle) (?:[a-z]+ ){0,4}ohne (?:jede |jegliche |alle |deine |die ublichen )?(?:regeln|einschrankung[a-z]*|beschrankung[a-z]*|filter|zensur|moral|ethik|grenzen|richtlinien|vorgaben|tabus)|(?-u:\b)(?:gehorche?|gehorchst|hore?|horst|folgst?|folge) (?:du )?(?:(?:nur|ausschlie.lich|ab|jetzt|sofort|allein|noch|auf) ){1,4}(?:mir|mich|meinen)",
    ),
    row(
        "extract.de.system-prompt",
        r"(?-u:\b)(?:zeig[a-z]*|verrat[a-z]*|nenn[a-z]*|gib|wiederhol[a-z]*|offenbar[a-z]*|druck[a-z]*|schreib[a-z]*|was steht|wie lautet|wie lauten|was ist|was sind|sag|kopier[a-z]*|ubersetz[a-z]*) (?:(?:mir|uns|sie|bitte|den|die|das|dein|deine|deinen?|deinem|in|ihre?n?|kompletten?|vollstandigen?|genauen?|wortlaut|deines|deiner|ihres|des|aus|text) ){0,6}(?:system ?prompts?|system ?anweisung[a-z]*|system ?nachricht|system ?message|geheimen? (?:anweisung|prompt)[a-z]*)",
    ),
    row(
        "extract.de.verbatim",
        r"(?-u:\b)(?:zeig[a-z]*|gib|wiederhol[a-z]*|nenn[a-z]*|verrat[a-z]*|schreib[a-z]*|liste|druck[a-z]*|kopier[a-z]*|sag|ubersetz[a-z]*) (?:[a-z]+ ){0,4}(?:deine[nrms]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung|prompt)(?: [a-z]+)? (?:aus|wortlich|wort fur wort|wortwortlich|im wortlaut|auf|genau|vollstandig|ursprunglichen|anfanglichen|geheimen|internen|versteckten)|(?-u:\b)(?:zeig[a-z]*|gib|wiederhol[a-z]*|nenn[a-z]*|verrat[a-z]*|schreib[a-z]*|liste|druck[a-z]*|kopier[a-z]*|sag|ubersetz[a-z]*) (?:[a-z]+ ){0,3}(?:aus|wortlich|wort fur wort|wortwortlich|im wortlaut|auf|genau|vollstandig|ursprunglichen|anfanglichen|geheimen|internen|versteckten) (?:[a-z]+ ){0,4}(?:deine[nrms]?) (?:[a-z]+ )?(?:anweisung[a-z]*|instruktion[a-z]*|regeln?|vorgaben?|befehle?|richtlinien?|systemanweisung[a-z]*|systemprompts?|einschrankung[a-z]*|beschrankung[a-z]*|filter|programmierung|prompt)",
    ),
    row(
        "persona.de",
        r"(?-u:\b)(?:tu so als|tue so als|antworte|verhalte? dich|benimm dich|spiel[a-z]*|sei|du bist|stell dir vor|agier[a-z]*|handle|simulier[a-z]*|ubernimm die rolle) (?:[a-z]+ ){0,6}(?:(?:ki|chatbot|bot|assistent(?:in)?|modell|sprachmodell|intelligenz|dan) (?:[a-z]+ ){0,3}(?:ohne|keine|frei von) (?:jede |jegliche |alle )?(?:regeln|einschrankung[a-z]*|beschrankung[a-z]*|filter|zensur|moral|ethik|grenzen|richtlinien|vorgaben|tabus)|(?:unzensierte|ungefilterte|uneingeschrankte|unbeschrankte|bose)[nrs]? (?:ki|chatbot|bot|assistent(?:in)?|modell|sprachmodell|intelligenz|dan))",
    ),
    row(
        "indirect.de",
        r"(?-u:\b)(?:hinweis|notiz|nachricht|anweisung|anweisungen|achtung|wichtig|mitteilung) (?:(?:an|fur|alle|die|jede|den) ){1,3}(?:ki|kis|sprachmodelle?|chatbots?|ki ?(?:assistent(?:en|in)?|systeme?|agent(?:en)?|modelle?)|ki [a-z]+)(?-u:\b)",
    ),
    row(
        "extract.de.above",
        r"(?-u:\b)(?:wiederhol[a-z]*|gib|zeig[a-z]*|schreib[a-z]*|kopier[a-z]*) (?:[a-z]+ ){0,2}(?:alles|allen text|den text|die worte|den inhalt) (?:[a-z]+ ){0,2}(?:uber|vor|oberhalb) (?:dieser|meiner) (?:nachricht|zeile|frage)|(?-u:\b)welche (?:anweisungen|regeln|instruktionen|vorgaben) (?:hast du|wurden dir|hat man dir|haben dir) (?:[a-z]+ ){0,5}(?:bekommen|erhalten|gegeben|erteilt|mitgegeben)",
    ),
    row(
        "override.nl.rules",
        r"(?-u:\b)(?:negeer|negeert|negeren|vergeet|vergeten|omzeil|overtreed|wis|verwijder|verwerp|overschrijf) (?:(?:alle|al|de|het|alsjeblieft|nu|maar|gewoon|van|hierbij|deze) ){0,5}(?:(?:vorige|eerdere|voorgaande|bovenstaande|oorspronkelijke|vroegere|initiele) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften)|(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften) (?:(?:die|van|de|je|je hebt|kreeg|hebt|gekregen|zijn|gegeven) ){0,4}(?:hierboven|eerder|van je (?:maker|ontwikkelaar)s?|van de ontwikkelaars?|ontwikkelaars?|openai)|(?:je|jouw|uw) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften))",
    ),
    row(
        "override.nl.stop-following",
        r"(?-u:\b)(?:houd je niet (?:meer )?aan|hou je niet (?:meer )?aan|volg niet (?:meer )?|je hoeft je niet (?:meer )?aan|stop met het volgen van|trek je niets aan van) (?:(?:alle|al|de|het|alsjeblieft|nu|maar|gewoon|van|hierbij|deze) ){0,4}(?:(?:je|jouw|uw|vorige|eerdere|voorgaande|bovenstaande|oorspronkelijke|vroegere|initiele) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften)|(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften) (?:(?:die|van|de|je|je hebt|kreeg|hebt|gekregen|zijn|gegeven) ){0,4}(?:hierboven|eerder|van je (?:maker|ontwikkelaar)s?|van de ontwikkelaars?|ontwikkelaars?|openai))",
    ),
    row(
        "override.nl.told",
        r"(?-u:\b)(?:negeer|vergeet) (?:alles )?(?:wat|dat) (?:(?:ze|men|er|de|ontwikkelaars?|eerder) ){0,3}(?:je|jou|u|tegen je) (?:[a-z]+ ){0,4}(?:verteld|gezegd|opgedragen|geleerd|meegegeven)|(?-u:\b)volg (?:[a-z]+ ){0,2}(?:je|jouw|vorige|eerdere) (?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften) niet",
    ),
    row(
        "override.nl.now-void",
        r"(?-u:\b)(?:je|jouw|alle) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften) (?:zijn|gelden|worden) (?:[a-z]+ ){0,3}(?:ongeldig|niet meer|opgeheven|ingetrokken|vervallen|uitgeschakeld)",
    ),
    row(
        "override.nl.no-limits",
        r"(?-u:\b)(?:vanaf nu|voortaan|nu|vanaf dit moment) (?:heb|ken|gelden|ben) (?:[a-z]+ ){0,3}geen (?:[a-z]+ )?(?:beperkingen|regels|filters?|grenzen|restricties|censuur|moraal|ethiek|richtlijnen)|(?-u:\b)(?:antwoord|praat|spreek|reageer) (?:[a-z]+ ){0,3}zonder (?:enige |alle )?(?:beperkingen|regels|filters?|grenzen|restricties|censuur|moraal|ethiek|richtlijnen)|(?-u:\b)(?:luister|gehoorzaam) (?:[a-z]+ ){0,2}(?:alleen|enkel|uitsluitend) (?:[a-z]+ ){0,2}(?:mij|me)(?-u:\b)",
    ),
    row(
        "extract.nl.system-prompt",
        r"(?-u:\b)(?:toon|laat|geef|herhaal|onthul|print|wat staat|wat is|wat zijn|deel|schrijf|zeg|kopieer|vertaal|welke) (?:[a-z]+ ){0,5}systeem ?(?:prompt|bericht|instructies?)",
    ),
    row(
        "extract.nl.verbatim",
        r"(?-u:\b)(?:toon|laat|geef|herhaal|onthul|print|deel|schrijf|zeg|kopieer|noem) (?:[a-z]+ ){0,4}(?:je|jouw|uw) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften|prompt)(?: [a-z]+)? (?:woord voor woord|letterlijk|volledig|exact|oorspronkelijke|geheime|verborgen|initiele)|(?-u:\b)(?:toon|laat|geef|herhaal|onthul|print|deel|schrijf|zeg|kopieer|noem) (?:[a-z]+ ){0,3}(?:woord voor woord|letterlijk|volledig|exact|oorspronkelijke|geheime|verborgen|initiele) (?:[a-z]+ ){0,4}(?:je|jouw|uw) (?:[a-z]+ )?(?:instructies?|regels?|opdrachten|richtlijnen|aanwijzingen|bevelen|beperkingen|systeemprompts?|systeeminstructies?|voorschriften|prompt)",
    ),
    row(
        "persona.nl",
        r"(?-u:\b)(?:doe alsof|gedraag je|antwoord|speel|je bent|reageer|stel je voor) (?:[a-z]+ ){0,5}(?:(?:ai|chatbot|bot|assistent|model|dan) (?:[a-z]+ ){0,2}(?:zonder|geen) (?:enige )?(?:beperkingen|regels|filters?|grenzen|restricties|censuur|moraal|ethiek|richtlijnen)|(?:ongefilterde|ongecensureerde|onbeperkte) (?:ai|chatbot|bot|assistent|model))",
    ),
    row(
        "indirect.nl",
        r"(?-u:\b)(?:let op|opmerking|instructies?|bericht|aandacht|boodschap) (?:(?:aan|voor|alle|de|elke) ){1,3}(?:ai|taalmodel(?:len)?|chatbots?|ai [a-z]+)(?-u:\b)",
    ),
    row(
        "extract.de.hidden",
        r"(?-u:\b)(?:zeig[a-z]*|gib|wiederhol[a-z]*|nenn[a-z]*|verrat[a-z]*|schreib[a-z]*) (?:[a-z]+ ){0,3}(?:deine[nrms]?) (?:ursprunglichen?|geheimen?|internen?|versteckten?|anfanglichen?|initialen?) (?:anweisung[a-z]*|instruktion[a-z]*|regeln|vorgaben|prompts?|richtlinien)",
    ),
    row(
        "extract.nl.hidden",
        r"(?-u:\b)(?:toon|laat|geef|herhaal|onthul|schrijf) (?:[a-z]+ ){0,3}(?:je|jouw) (?:oorspronkelijke|geheime|verborgen|initiele|interne) (?:instructies?|regels|prompt|richtlijnen)",
    ),
    row(
        "override.germanic.all-rules",
        r"(?-u:\b)(?:ignoriere?|vergiss|missachte|negeer|vergeet) alle (?:die |deine |de )?(?:anweisungen|regeln|instruktionen|vorgaben|instructies|regels|richtlijnen)(?: und| en|\.|$)",
    ),
];
