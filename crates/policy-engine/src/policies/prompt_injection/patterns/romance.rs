//! Spanish, French, Portuguese, Italian; and their verbs with English objects.

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "override.es",
        r"(?-u:\b)(?:ignora|ignore|ignorar|ignoren|olvida|olvide|olvidate|descarta|descarte|omite) (?:(?:por|favor|todas?|todos?|las|los|tus|sus|mis|de|cualquier|completamente) ){0,5}(?:(?:instrucciones|ordenes|indicaciones|reglas|directrices) (?:(?:que|te|se|han|dado|dieron|de|la) ){0,4}(?:anteriores|previas|iniciales|originales|precedentes|arriba|del sistema)|(?:anteriores|previas) (?:instrucciones|ordenes|indicaciones|reglas|directrices))",
    ),
    row(
        "override.es.rules",
        r"(?-u:\b)(?:ignora|ignore|ignorar|ignoren|ignores|ignorad|olvida|olvide|olvidate|olvidar|olviden|descarta|descarte|omite|desobedece|desatiende|elimina|borra|anula|incumple|evita|salta|sobrescribe|no hagas caso) (?:(?:por|favor|todas?|todos?|las|los|mis|de|a|cualquier|completamente|estas|ya|totalmente) ){0,5}(?:(?:anteriores|previas|antiguas|iniciales|originales) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion)|(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion) (?:(?:que|te|se|han|dado|dieron|de|la|mas|tu|tus|los|el|has|del) ){0,4}(?:anteriores|previas|iniciales|originales|precedentes|arriba|del sistema|desarrollador(?:es)?|creador(?:es)?|recibid[ao]s|openai|antes)|(?:tus|tu) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion))",
    ),
    row(
        "override.es.stop-following",
        r"(?-u:\b)(?:no (?:sigas|obedezcas|cumplas|respetes|hagas caso (?:a|de)|te ajustes a)(?: mas)?|ya no (?:tienes que|debes|necesitas|hace falta) (?:seguir|obedecer|cumplir|respetar|acatar)|deja de (?:seguir|obedecer|cumplir|respetar)|sin (?:seguir|respetar|obedecer)) (?:(?:por|favor|todas?|todos?|las|los|mis|de|a|cualquier|completamente|estas|ya|totalmente) ){0,4}(?:(?:tus|tu|anteriores|previas|antiguas|iniciales|originales) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion)|(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion) (?:(?:que|te|se|han|dado|dieron|de|la|mas|tu|tus|los|el|has|del) ){0,4}(?:anteriores|previas|iniciales|originales|precedentes|arriba|del sistema|desarrollador(?:es)?|creador(?:es)?|recibid[ao]s|openai|antes))",
    ),
    row(
        "override.es.told",
        r"(?-u:\b)(?:ignora|ignore|olvida|olvide|olvidate de|descarta|omite) (?:todo )?(?:lo que )(?:(?:ellos|los|el|desarrollador(?:es)?|se|sistema|tus|creadores|ya) ){0,3}te (?:[a-z]+ ){0,2}(?:dijeron|dicho|dijo|dieron|ensenaron|ordenaron|pidieron|indicaron|programaron|explicaron)|(?-u:\b)(?:ignora|olvida|descarta) (?:todo )?lo (?:anterior|de arriba|previo)(?: y| e|\.|$)",
    ),
    row(
        "override.es.now-void",
        r"(?-u:\b)(?:tus|las|todas las) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion) (?:anteriores |previas |de antes |iniciales )?(?:ya )?(?:quedan|estan|son|han sido|fueron|no) (?:[a-z]+ )?(?:anuladas|canceladas|suspendidas|revocadas|invalidas|nulas|eliminadas|desactivadas|sin efecto|aplican|valen|existen)",
    ),
    row(
        "override.es.no-limits",
        r"(?-u:\b)(?:(?:desde ahora|a partir de ahora|ya|ahora) (?:[a-z]+ )?no (?:tienes|tendras|hay|existen|sigues)|no tienes) (?:[a-z]+ )?(?:reglas|restricciones|limites|filtros?|limitaciones|censura|etica|moral|normas)|(?-u:\b)(?:responde|contesta|habla|actua|escribe|respondeme) (?:[a-z]+ ){0,3}sin (?:ninguna |ningun |ningunas |tus )?(?:reglas|restricciones|limites|filtros?|limitaciones|censura|etica|moral|normas)|(?-u:\b)(?:solo|unicamente|solamente) (?:me obedeces|me obedeceras|obedeces|debes obedecer|me haces caso)|(?-u:\b)obedeceme (?:solo|unicamente)",
    ),
    row(
        "extract.es.system-prompt",
        r"(?-u:\b)(?:muestra|muestrame|revela|revelame|dime|imprime|repite|ensename|escribe|muestre|revele|cual es|cual era|cuales son|copia|comparte|dame|traduce|que dice|resume|ensena|divulga) (?:(?:me|el|la|las|los|tu|tus|su|sus|completo|todo|texto|de|contenido|del|exacto|en|ahora) ){0,5}(?:prompt|mensaje|instrucciones|indicaciones|configuracion|directrices) (?:de sistema|del sistema|sistema|inicial(?:es)?|ocult[oa]s?|secret[oa]s?|intern[oa]s?|original(?:es)?|(?:que )?(?:recibiste|te dieron|te han dado|has recibido))",
    ),
    row(
        "extract.es.verbatim",
        r"(?-u:\b)(?:muestra|muestrame|revela|revelame|dime|imprime|repite|escribe|copia|dame|recita|transcribe) (?:[a-z]+ ){0,4}(?:tus|tu) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion|prompt)(?: [a-z]+)? (?:palabra por palabra|literalmente|textualmente|al pie de la letra|exactamente|tal cual|iniciales|ocultas|secretas|completas|originales|verbatim)|(?-u:\b)(?:muestra|muestrame|revela|revelame|dime|imprime|repite|escribe|copia|dame|recita|transcribe) (?:[a-z]+ ){0,3}(?:palabra por palabra|literalmente|textualmente|al pie de la letra|exactamente|tal cual|iniciales|ocultas|secretas|completas|originales|verbatim) (?:[a-z]+ ){0,4}(?:tus|tu) (?:[a-z]+ )?(?:instrucciones|instruccion|ordenes|indicaciones|reglas|directrices|normas|pautas|restricciones|politicas|limitaciones|directivas|programacion|prompt)",
    ),
    row(
        "persona.es",
        r"(?-u:\b)(?:finge|fingi|actua|imagina|simula|pretende|comportate|haz de cuenta|responde|eres|seras|interpreta|hazte pasar) (?:[a-z]+ ){0,6}(?:(?:ia|inteligencia artificial|asistente|modelo|chatbot|robot|bot|dan) (?:[a-z]+ ){0,3}(?:sin|libre de|que no tiene|que ignora) (?:ninguna |ningun |todas las |toda )?(?:reglas|restricciones|limites|filtros?|limitaciones|censura|etica|moral|normas)|(?:ia|inteligencia artificial|asistente|modelo|chatbot|robot|bot|dan) (?:malvad[oa]|libre y sin))",
    ),
    row(
        "indirect.es",
        r"(?-u:\b)(?:nota|mensaje|instrucciones|instruccion|atencion|aviso|importante) (?:(?:para|a|al|la|las|el|los|todas|cualquier) ){1,3}(?:ia|ias|inteligencia artificial|asistentes? (?:de ia|virtual(?:es)?)|modelos? de lenguaje|chatbots?)(?-u:\b)",
    ),
    row(
        "override.fr",
        r"(?-u:\b)(?:ignore[zrs]?|oublie[zrs]?|neglige[zr]?|(?:ne )?(?:tiens|tenez|tenir) (?:pas |aucun )?compte) (?:(?:de|d|des|toutes?|tous|les|tes|vos|mes|ces|l|ensemble|completement) ){0,5}(?:(?:instructions?|consignes?|regles?|directives?|ordres?) (?:(?:que|du|de|des|qui|ont|ete|donnees) ){0,3}(?:precedente?s?|anterieure?s?|initiale?s?|systeme|ci dessus|originale?s?)|precedentes (?:instructions?|consignes?|regles?|directives?))",
    ),
    row(
        "override.fr.rules",
        r"(?-u:\b)(?:ignore[zrs]?|oublie[zrs]?|neglige[zr]?|(?:ne )?(?:tiens|tenez|tenir) (?:pas |plus |aucun )?compte|efface[zr]?|abandonne[zr]?|contourne[zr]?|desobeis|enfreins|supprime[zr]?|annule[zr]?|mets de cote) (?:(?:de|d|des|du|toutes?|tous|les|mes|ces|l|ensemble|completement|a|maintenant|donc|tout) ){0,5}(?:(?:precedentes|anciennes|anterieures|initiales) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices)|(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices) (?:(?:que|quon|du|de|des|tes|qui|ont|ete|donnees|tu|as|recues|te|ta|t|le|les|la) ){0,4}(?:precedente?s?|anterieure?s?|initiale?s?|systeme|ci dessus|originale?s?|avant|developpeurs?|createurs?|openai|concepteurs?)|(?:tes|ton|ta) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices))",
    ),
    row(
        "override.fr.stop-following",
        r"(?-u:\b)(?:ne (?:suis|respecte|obeis|applique|suivez|ecoute) (?:plus |pas )?(?:a )?|arrete de (?:suivre|respecter)|cesse de (?:suivre|respecter|obeir)|tu nas plus (?:a|besoin de) (?:suivre|respecter)|sans (?:suivre|respecter)|tu ne dois (?:plus|pas) (?:suivre|respecter)) (?:(?:de|d|des|du|toutes?|tous|les|mes|ces|l|ensemble|completement|a|maintenant|donc|tout) ){0,4}(?:(?:tes|ton|ta|precedentes|anciennes|anterieures|initiales) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices)|(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices) (?:(?:que|quon|du|de|des|tes|qui|ont|ete|donnees|tu|as|recues|te|ta|t|le|les|la) ){0,4}(?:precedente?s?|anterieure?s?|initiale?s?|systeme|ci dessus|originale?s?|avant|developpeurs?|createurs?|openai|concepteurs?))",
    ),
    row(
        "override.fr.told",
        r"(?-u:\b)(?:oublie|oubliez|ignore|ignorez) (?:tout )?(?:ce )?(?:quon|que lon|que|qui) (?:(?:tes|les|le|developpeurs?|createurs?|ta|t|a|ont|on|ete|vous|te|tavait|avait) ){0,4}(?:ta|tont|t a|te|a ete|avait ete|tavait|vous a) ?(?:[a-z]+ ){0,2}(?:dit|appris|donne|explique|ordonne|demande|dites?|enseigne)|(?-u:\b)(?:oublie|ignore) tout ce qui (?:precede|est (?:ecrit|dit) (?:avant|plus haut|ci dessus))",
    ),
    row(
        "override.fr.now-void",
        r"(?-u:\b)(?:tes|toutes les|les anciennes|vos) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices) (?:precedentes |anterieures |initiales )?(?:sont|ont ete|ne sont|ne) (?:[a-z]+ )?(?:annulees?|suspendues?|revoquees?|nulles?|caduques?|levees?|supprimees?|desactivees?|sappliquent plus|plus valables?|valables? plus)",
    ),
    row(
        "override.fr.no-limits",
        r"(?-u:\b)(?:tu nas|tu na|tu nauras|tu es libere de|tu ne connais) (?:plus |pas |desormais )?(?:[a-z]+ ){0,2}(?:restrictions?|regles?|filtres?|limites?|limitations?|censure|ethique|morale?|contraintes?)",
    ),
    row(
        "override.fr.answer-freely",
        r"(?-u:\b)(?:reponds|reponds moi|repondez|parle|ecris|agis) (?:[a-z]+ ){0,3}sans (?:aucune? |les |tes |la moindre )?(?:restrictions?|regles?|filtres?|limites?|limitations?|censure|ethique|morale?|contraintes?)",
    ),
    row(
        "override.fr.obey-me",
        r"(?-u:\b)tu (?:nobeis|nobeiras|obeis|obeiras|necoutes|ecoutes) (?:plus )?(?:qua|que|seulement a|uniquement a|qu a) ?(?:moi|mes)",
    ),
    row(
        "extract.fr.system-prompt",
        r"(?-u:\b)(?:revele|montre|affiche|repete|donne|imprime|ecri[st]|quel est|quelles sont|quels sont|quelle est|copie|partage|traduis|resume|recopie|dis|divulgue|cite)[zrs]? (?:(?:moi|nous|le|la|les|l|ton|ta|tes|votre|vos|integralement|integralite|texte|de|du|mot|pour|exact|complet|contenu|a) ){0,6}(?:prompt|message|instructions?|consignes?|directives?|invite) (?:systeme|du systeme|initiale?s?|cachee?s?|secrete?s?|originale?s?|que tu as recues|quon ta donnees|que lon ta donnees)",
    ),
    row(
        "extract.fr.verbatim",
        r"(?-u:\b)(?:revele|montre|affiche|repete|donne|donne moi|imprime|ecris|copie|recopie|recite|cite) (?:[a-z]+ ){0,4}(?:tes|ton|ta) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices|prompt)(?: [a-z]+)? (?:mot pour mot|mot a mot|textuellement|litteralement|exactement|telles quelles|integralement|initiales|cachees|secretes|originales)|(?-u:\b)(?:revele|montre|affiche|repete|donne|donne moi|imprime|ecris|copie|recopie|recite|cite) (?:[a-z]+ ){0,3}(?:mot pour mot|mot a mot|textuellement|litteralement|exactement|telles quelles|integralement|initiales|cachees|secretes|originales) (?:[a-z]+ ){0,4}(?:tes|ton|ta) (?:[a-z]+ )?(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|principes|programmation|limites|lignes directrices|prompt)",
    ),
    row(
        "persona.fr",
        r"(?-u:\b)(?:fais comme si|fais semblant|agis comme|comporte toi|joue le role|imagine|reponds|tu es|tu es maintenant|incarne|simule|deviens|parle) (?:[a-z]+ ){0,6}(?:(?:ia|dune ia|une ia|intelligence artificielle|assistant|modele|chatbot|robot|bot|dan) (?:[a-z]+ ){0,3}(?:sans|libre de|qui na pas de|qui na aucune?|depourvue? de) (?:aucune? |toute |les )?(?:restrictions?|regles?|filtres?|limites?|limitations?|censure|ethique|morale?|contraintes?)|(?:ia|dune ia|une ia|intelligence artificielle|assistant|modele|chatbot|robot|bot|dan) (?:non censuree?|debridee?|malveillante?))",
    ),
    row(
        "indirect.fr",
        r"(?-u:\b)(?:note|message|instructions?|attention|avis|important|remarque) (?:(?:a|au|aux|pour|l|la|les|toute|toutes|tous|le|destine|destinee|importante?) ){0,3}(?:lia|ia|les ia|lassistant|intelligence artificielle|lintelligence artificielle|modeles? de langage|assistants? (?:ia|virtuels?)|chatbots?) (?:[a-z]+ ){0,5}(?:qui|recommande|dis|ne|n|tu|doit|doivent|ignore|ignorez|veuillez|reponds|ajoute|lit|lisant)(?-u:\b)",
    ),
    row(
        "override.pt",
        r"(?-u:\b)(?:ignore|ignora|ignorar|esqueca|esquece|desconsidere|desconsidera|despreze) (?:(?:por|favor|todas?|todos?|as|os|suas|seus|tuas|minhas|quaisquer|completamente) ){0,5}(?:(?:instrucoes|ordens|regras|diretrizes|comandos) (?:(?:que|de|da|lhe|foram|dadas) ){0,3}(?:anteriores|previas|iniciais|acima|originais|do sistema)|(?:anteriores|previas) (?:instrucoes|ordens|regras|diretrizes))",
    ),
    row(
        "override.pt.rules",
        r"(?-u:\b)(?:ignore|ignora|ignorar|ignorem|esqueca|esquece|esquecer|desconsidere|desconsidera|despreze|descarte|descarta|desobedeca|apague|abandone|anule|viole|burle|contorne|elimine) (?:(?:por|favor|todas?|todos?|as|os|das|dos|de|minhas|quaisquer|completamente|essas|agora|totalmente|tudo) ){0,5}(?:(?:anteriores|previas|antigas|iniciais) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao)|(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao) (?:(?:que|de|da|do|dos|lhe|te|foram|dadas|voce|recebeu|seu|seus|os|pelos?) ){0,4}(?:anteriores|previas|iniciais|acima|originais|do sistema|desenvolvedor(?:es)?|criador(?:es)?|openai|recebidas|antes)|(?:suas|tuas|seu|teu|sua) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao))",
    ),
    row(
        "override.pt.stop-following",
        r"(?-u:\b)(?:nao (?:siga|sigas|obedeca|cumpra|respeite|precisa (?:mais )?(?:seguir|obedecer|respeitar))(?: mais)?|pare de (?:seguir|obedecer|respeitar)|deixe de (?:seguir|obedecer|respeitar)|sem (?:seguir|respeitar)) (?:(?:por|favor|todas?|todos?|as|os|das|dos|de|minhas|quaisquer|completamente|essas|agora|totalmente|tudo) ){0,4}(?:(?:suas|tuas|seu|teu|sua|anteriores|previas|antigas|iniciais) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao)|(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao) (?:(?:que|de|da|do|dos|lhe|te|foram|dadas|voce|recebeu|seu|seus|os|pelos?) ){0,4}(?:anteriores|previas|iniciais|acima|originais|do sistema|desenvolvedor(?:es)?|criador(?:es)?|openai|recebidas|antes))",
    ),
    row(
        "override.pt.told",
        r"(?-u:\b)(?:ignore|esqueca|esquece|desconsidere) (?:tudo )?(?:o )?que (?:(?:os|o|seus|desenvolvedor(?:es)?|criadores|ja|eles) ){0,3}(?:te|lhe|foi|foram|voce) (?:[a-z]+ ){0,2}(?:disseram|dito|disse|ensinaram|ensinado|mandaram|pediram|instruido|deram|aprendeu|recebeu)",
    ),
    row(
        "override.pt.now-void",
        r"(?-u:\b)(?:suas|as|todas as|tuas) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao) (?:anteriores |previas |iniciais )?(?:ja )?(?:estao|foram|sao|nao) (?:[a-z]+ )?(?:anuladas|canceladas|suspensas|revogadas|invalidas|nulas|removidas|desativadas|sem efeito|valem|se aplicam|existem)",
    ),
    row(
        "override.pt.no-limits",
        r"(?-u:\b)(?:voce|tu|agora) (?:[a-z]+ )?(?:nao tem|nao tens|nao possui|esta livre de|nao segue) (?:mais )?(?:nenhuma? |quaisquer )?(?:restricoes|regras|limites?|filtros?|limitacoes|censura|etica|moral|normas)|(?-u:\b)(?:responda|fale|aja|escreva|responde) (?:[a-z]+ ){0,3}sem (?:nenhuma? |quaisquer |suas )?(?:restricoes|regras|limites?|filtros?|limitacoes|censura|etica|moral|normas)|(?-u:\b)(?:obedeca|obedece|siga|escute) (?:apenas|somente|so) (?:a mim|as minhas|minhas|meus)|(?-u:\b)(?:apenas|somente|so) (?:me obedeca|as minhas ordens|minhas ordens)",
    ),
    row(
        "extract.pt.system-prompt",
        r"(?-u:\b)(?:revele|mostre|mostra|exiba|imprima|repita|diga|escreva|revela|qual e|qual era|quais sao|quais eram|copie|compartilhe|traduza|resuma|de me|me de|me mostre|divulgue) (?:(?:me|o|a|as|os|seu|sua|suas|teu|tuas|completo|todo|texto|do|de|exato|conteudo) ){0,5}(?:prompt|mensagem|instrucoes|diretrizes|configuracao) (?:de sistema|do sistema|sistema|inicia(?:l|is)|ocult[oa]s?|secret[oa]s?|intern[oa]s?|origina(?:l|is)|que (?:voce recebeu|recebeu|te deram|lhe deram))",
    ),
    row(
        "extract.pt.verbatim",
        r"(?-u:\b)(?:revele|mostre|mostra|exiba|imprima|repita|diga|escreva|copie|recite|transcreva) (?:[a-z]+ ){0,4}(?:suas|tuas|seu|teu|sua) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao|prompt)(?: [a-z]+)? (?:palavra por palavra|literalmente|textualmente|ao pe da letra|exatamente|na integra|iniciais|ocultas|secretas|completas|originais)|(?-u:\b)(?:revele|mostre|mostra|exiba|imprima|repita|diga|escreva|copie|recite|transcreva) (?:[a-z]+ ){0,3}(?:palavra por palavra|literalmente|textualmente|ao pe da letra|exatamente|na integra|iniciais|ocultas|secretas|completas|originais) (?:[a-z]+ ){0,4}(?:suas|tuas|seu|teu|sua) (?:[a-z]+ )?(?:instrucoes|instrucao|ordens|regras|diretrizes|comandos|orientacoes|restricoes|normas|politicas|limitacoes|programacao|prompt)",
    ),
    row(
        "persona.pt",
        r"(?-u:\b)(?:finja|finge|aja|age|imagine|simule|comporte se|responda|voce e|voce agora e|faca de conta|interprete|atue|seja) (?:[a-z]+ ){0,6}(?:(?:ia|inteligencia artificial|assistente|modelo|chatbot|robo|bot|dan) (?:[a-z]+ ){0,3}(?:sem|livre de|que nao tem) (?:nenhuma? |quaisquer )?(?:restricoes|regras|limites?|filtros?|limitacoes|censura|etica|moral|normas)|(?:ia|inteligencia artificial|assistente|modelo|chatbot|robo|bot|dan) (?:malvad[oa]|irrestrit[oa]))",
    ),
    row(
        "indirect.pt",
        r"(?-u:\b)(?:nota|mensagem|instrucoes|instrucao|atencao|aviso|importante) (?:(?:para|a|ao|as|aos|o|os|todas|qualquer) ){1,3}(?:ia|ias|inteligencia artificial|assistentes? (?:de ia|virtua(?:l|is))|modelos? de linguagem|chatbots?)(?-u:\b)",
    ),
    row(
        "override.it",
        r"(?-u:\b)(?:ignora|ignorate|ignori|dimentica|dimenticate|dimentichi|trascura) (?:(?:tutte|tutti|le|i|gli|tue|vostre|per|favore|completamente) ){0,5}(?:(?:istruzioni|regole|direttive|indicazioni|ordini) (?:(?:che|ti|sono|state|date) ){0,4}(?:precedenti|iniziali|originali|di sopra|sopra|del sistema|di sistema)|precedenti (?:istruzioni|regole|direttive|indicazioni))",
    ),
    row(
        "override.it.rules",
        r"(?-u:\b)(?:ignora|ignorate|ignori|ignorare|dimentica|dimenticate|dimentichi|dimenticati|trascura|disobbedisci|scarta|cancella|annulla|elimina|viola|abbandona|aggira|metti da parte|sovrascrivi) (?:(?:tutte|tutti|le|i|gli|per|favore|completamente|di|delle|dei|queste|ora|adesso|pure|tutto) ){0,5}(?:(?:precedenti|vecchie|iniziali|originali) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi)|(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi) (?:(?:che|ti|sono|state|date|dello|del|dei|degli|hai|tuoi|hanno|dato|di) ){0,4}(?:precedenti|iniziali|originali|di sopra|sopra|del sistema|di sistema|sviluppator[ei]|creator[ei]|ricevute|openai|prima)|(?:tue|tuoi|tuo|tua) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi))",
    ),
    row(
        "override.it.stop-following",
        r"(?-u:\b)(?:non (?:seguire|rispettare|obbedire|ascoltare|osservare|devi (?:piu )?(?:seguire|rispettare|obbedire))(?: piu)?(?: a| alle)?|smetti di (?:seguire|rispettare)|senza (?:seguire|rispettare)|non sei (?:piu )?(?:vincolato|obbligato)(?: a| dalle| alle)?) (?:(?:tutte|tutti|le|i|gli|per|favore|completamente|di|delle|dei|queste|ora|adesso|pure|tutto) ){0,4}(?:(?:tue|tuoi|tuo|tua|precedenti|vecchie|iniziali|originali) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi)|(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi) (?:(?:che|ti|sono|state|date|dello|del|dei|degli|hai|tuoi|hanno|dato|di) ){0,4}(?:precedenti|iniziali|originali|di sopra|sopra|del sistema|di sistema|sviluppator[ei]|creator[ei]|ricevute|openai|prima))",
    ),
    row(
        "override.it.told",
        r"(?-u:\b)(?:dimentica|ignora|dimenticati|dimenticate|trascura) (?:tutto )?(?:di )?(?:quello|cio|quanto|quel) ?(?:che )?(?:(?:gli|lo|i|il|tuoi|sviluppatori|creatori) ){0,3}(?:ti|ti e) (?:[a-z]+ ){0,3}(?:detto|insegnato|ordinato|chiesto|dato|spiegato|indicato)",
    ),
    row(
        "override.it.now-void",
        r"(?-u:\b)(?:tue|le|tutte le) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi) (?:precedenti |iniziali )?(?:sono|non|sono state) (?:[a-z]+ ){0,2}(?:annullate|cancellate|sospese|revocate|nulle|rimosse|disattivate|invalide|valgono|valide|esistono)",
    ),
    row(
        "override.it.no-limits",
        r"(?-u:\b)(?:non hai|non avrai|sei libero da|non conosci) (?:piu )?(?:alcuna |alcun |nessuna |nessun )?(?:restrizioni|regole|limiti|filtri?|limitazioni|censura|etica|morale|vincoli|freni)|(?-u:\b)(?:rispondi|parla|agisci|scrivi|rispondimi) (?:[a-z]+ ){0,3}senza (?:alcuna |alcun |nessuna |nessun |le tue )?(?:restrizioni|regole|limiti|filtri?|limitazioni|censura|etica|morale|vincoli|freni)|(?-u:\b)(?:obbedisci|ascolta|segui) (?:solo|soltanto|unicamente) (?:a )?(?:me|i miei|le mie)(?-u:\b)|(?-u:\b)(?:da ora in poi|dora in poi|dora in avanti) (?:[a-z]+ ){0,2}(?:solo a me|obbedisci|non hai)",
    ),
    row(
        "extract.it.system-prompt",
        r"(?-u:\b)(?:mostra|mostrami|rivela|rivelami|dimmi|stampa|ripeti|scrivi|qual e|quale|quali sono|copia|condividi|dammi|traduci|riassumi|svela|visualizza|che dice) (?:(?:mi|il|la|le|i|tuo|tuoi|tua|tue|completo|tutto|testo|di|del|esatto|contenuto|in|era) ){0,5}(?:prompt|messaggio|istruzioni|direttive|configurazione) (?:di sistema|del sistema|sistema|inizial[ei]|nascost[oei]|segret[oei]|intern[oei]|original[ei]|che (?:hai ricevuto|ti hanno dato|ti sono state))",
    ),
    row(
        "extract.it.verbatim",
        r"(?-u:\b)(?:mostra|mostrami|rivela|dimmi|stampa|ripeti|scrivi|copia|dammi|recita|trascrivi|elenca) (?:[a-z]+ ){0,4}(?:tue|tuoi|tuo|tua) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi|prompt)(?: [a-z]+)? (?:parola per parola|letteralmente|testualmente|alla lettera|esattamente|per intero|iniziali|nascoste|segrete|complete|originali)|(?-u:\b)(?:mostra|mostrami|rivela|dimmi|stampa|ripeti|scrivi|copia|dammi|recita|trascrivi|elenca) (?:[a-z]+ ){0,3}(?:parola per parola|letteralmente|testualmente|alla lettera|esattamente|per intero|iniziali|nascoste|segrete|complete|originali) (?:[a-z]+ ){0,4}(?:tue|tuoi|tuo|tua) (?:[a-z]+ )?(?:istruzioni|istruzione|regole|direttive|indicazioni|ordini|linee guida|restrizioni|norme|limitazioni|programmazione|comandi|prompt)",
    ),
    row(
        "persona.it",
        r"(?-u:\b)(?:fai finta|fingi|agisci|comportati|immagina|simula|rispondi|sei|sei ora|interpreta|recita|diventa) (?:[a-z]+ ){0,6}(?:(?:ia|unia|ai|unai|intelligenza artificiale|unintelligenza artificiale|assistente|modello|chatbot|robot|bot|dan) (?:[a-z]+ ){0,3}(?:senza|libera? da|che non ha) (?:alcuna |alcun |nessuna |nessun )?(?:restrizioni|regole|limiti|filtri?|limitazioni|censura|etica|morale|vincoli|freni)|(?:ia|unia|ai|unai|intelligenza artificiale|unintelligenza artificiale|assistente|modello|chatbot|robot|bot|dan) (?:malvagi[oa]|non censurat[oa]))",
    ),
    row(
        "indirect.it",
        r"(?-u:\b)(?:nota|messaggio|istruzioni|istruzione|attenzione|avviso|importante) (?:(?:per|a|alla|alle|ai|agli|le|la|gli|tutte|ogni) ){1,3}(?:ia|ai|intelligenza artificiale|assistenti? (?:ai|ia|virtual[ei])|modelli? linguistic[oi]|chatbot)(?-u:\b)",
    ),
    row(
        "override.romance.all-rules",
        r"(?-u:\b)(?:ignora|ignore|ignorad|olvida|olvide|oublie|oubliez|ignorez|dimentica|dimenticate|esqueca|esquece|desconsidere) (?:todas|todos|toutes|tous|tutte|tutti) (?:las|los|les|le|gli|as|os) (?:instrucciones|reglas|directrices|instructions|consignes|regles|directives|istruzioni|regole|direttive|instrucoes|regras|diretrizes)(?: y| et| e|\.|$)",
    ),
    row(
        "override.mixed",
        r"(?:(?-u:\b)(?:ignora|ignorez?|ignoriere?|ignore|vergiss|olvida|oublie|dimentica|esqueca|negeer|zignoruj|zapomnij|unut)|забудь|игнорируи|忽略|忘记|无视|無視|تجاهل) ?(?:(?:все|всe|所有|all|alle|todas|tutte|toutes|the|your|my|por|favor|o|bitte) ){0,3}(?:previous|prior|earlier|above|your|tus|tes|tue|suas|deine) (?:system )?(?:instructions?|prompts?|rules|reglas|regles|regole|regras|regeln|anteriores)",
    ),
    row(
        "extract.mixed",
        r"(?-u:\b)(?:zeig(?:e)?|montre|muestra(?:me)?|mostra(?:mi)?|mostre|pokaz|toon|dime|dimmi|dis|gib|affiche|показать|покажи|goster) (?:(?:mir|moi|me|mi|mne|bitte) ){0,2}(?:your|the) (?:system |hidden |secret |initial ){1,4}(?:prompt|instructions?|message)",
    ),
];
