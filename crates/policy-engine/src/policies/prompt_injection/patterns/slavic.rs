//! Polish, Russian, Ukrainian. A word of letters that look Latin is Latin here: `у` is `y`.

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "override.pl.rules",
        r"(?-u:\b)(?:zignoruj(?:cie)?|ignoruj(?:cie)?|ignorowac|zapomnij(?:cie)?|pomin|odrzuc|zlam|obejdz|usun|anuluj|porzuc) (?:(?:o|wszystkie|wszystkich|wszelkie|wszelkich|te|tych|prosze|teraz|po|prostu|calkowicie|na|ze) ){0,5}(?:(?:(?:poprzedni|wczesniejsz|powyzsz|dotychczasow|pierwotn|systemow|uprzedni)[a-z]*) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*)|(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*) (?:(?:od|z|ktore|ktorych|dostal[a-z]*|otrzymal[a-z]*|twoich|podane) ){0,4}(?:powyzej|wczesniej|systemow[a-z]*|tworc[a-z]*|dewelope?r[a-z]*|openai)|(?:swo(?:je|ich|imi|im)|two(?:je|ich|im|imi)) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*))",
    ),
    row(
        "override.pl.stop-following",
        r"(?-u:\b)(?:nie (?:przestrzegaj|stosuj sie(?: juz)? do|sluchaj|wykonuj|trzymaj sie|zwracaj uwagi na|musisz (?:juz )?(?:przestrzegac|stosowac sie do))|przestan (?:przestrzegac|stosowac sie do)) (?:(?:o|wszystkie|wszystkich|wszelkie|wszelkich|te|tych|prosze|teraz|po|prostu|calkowicie|na|ze) ){0,4}(?:(?:swo(?:je|ich|imi|im)|two(?:je|ich|im|imi)|(?:poprzedni|wczesniejsz|powyzsz|dotychczasow|pierwotn|systemow|uprzedni)[a-z]*) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*)|(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*) (?:(?:od|z|ktore|ktorych|dostal[a-z]*|otrzymal[a-z]*|twoich|podane) ){0,4}(?:powyzej|wczesniej|systemow[a-z]*|tworc[a-z]*|dewelope?r[a-z]*|openai))",
    ),
    row(
        "override.pl.told",
        r"(?-u:\b)(?:zapomnij|zignoruj|ignoruj)(?: o)? (?:wszystkim |wszystko |tym )?(?:co|czego) (?:(?:tworcy|wczesniej|do|tej|pory|juz) ){0,3}(?:ci|cie|tobie) (?:[a-z]+ ){0,3}(?:powiedziano|powiedzieli|mowiono|kazano|napisano|nauczono|polecono)",
    ),
    row(
        "override.pl.now-void",
        r"(?-u:\b)(?:twoje|wszystkie) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*) (?:sa|zostaly|juz|nie) (?:[a-z]+ ){0,2}(?:niewazne|anulowane|uchylone|zniesione|obowiazuja|wylaczone|nieaktualne)",
    ),
    row(
        "override.pl.no-limits",
        r"(?-u:\b)(?:nie masz|nie obowiazuja cie|nie posiadasz|jestes wolny od) (?:juz )?(?:zadnych |zadne )?(?:ograniczen|zasad|regul|filtrow|cenzury|limitow|hamulcow|zasady|ograniczenia|reguly)|(?-u:\b)(?:odpowiadaj|odpowiedz|mow|pisz|dzialaj) (?:[a-z]+ ){0,3}bez (?:zadnych |jakichkolwiek )?(?:ograniczen|zasad|regul|filtrow|cenzury|limitow|hamulcow)|(?-u:\b)(?:sluchaj|bedziesz sluchac) (?:sie )?tylko mnie",
    ),
    row(
        "extract.pl.system-prompt",
        r"(?-u:\b)(?:pokaz|wypisz|ujawnij|podaj|powtorz|wyswietl|zdradz|jaki jest|jaka jest|jakie sa|napisz|skopiuj|przetlumacz|co zawiera) (?:[a-z]+ ){0,3}(?:systemow[a-z]* (?:prompt[a-z]*|instrukcj[a-z]*|wiadomosc[a-z]*|polece[a-z]*)|(?:prompt[a-z]*|instrukcj[a-z]*|wiadomosc|komunikat|polecenie) (?:systemow[a-z]*|poczatkow[a-z]*|ukryt[a-z]*))",
    ),
    row(
        "extract.pl.verbatim",
        r"(?-u:\b)(?:pokaz|wypisz|ujawnij|podaj|powtorz|wyswietl|zdradz|napisz|skopiuj) (?:[a-z]+ ){0,4}(?:swo(?:je|ich|imi|im)|two(?:je|ich|im|imi)) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*|prompt)(?: [a-z]+)? (?:slowo w slowo|doslownie|dokladnie|w calosci|poczatkowe|ukryte|tajne)|(?-u:\b)(?:pokaz|wypisz|ujawnij|podaj|powtorz|wyswietl|zdradz|napisz|skopiuj) (?:[a-z]+ ){0,3}(?:slowo w slowo|doslownie|dokladnie|w calosci|poczatkowe|ukryte|tajne) (?:[a-z]+ ){0,4}(?:swo(?:je|ich|imi|im)|two(?:je|ich|im|imi)) (?:[a-z]+ )?(?:instrukcj[a-z]*|polece[nc][a-z]*|zasad[a-z]*|regul[a-z]*|wytyczn[a-z]*|wskazow[a-z]*|ograniczen[a-z]*|dyrektyw[a-z]*|prompt)",
    ),
    row(
        "persona.pl",
        r"(?-u:\b)(?:udawaj|zachowuj sie|badz|wciel sie|odpowiadaj|dzialaj|jestes|wyobraz sobie|zagraj) (?:[a-z]+ ){0,6}(?:ai|si|sztuczn[a-z]* inteligencj[a-z]*|bot(?:em)?|chatbot(?:em)?|model(?:em)?|asystent(?:em)?) (?:[a-z]+ ){0,3}bez (?:zadnych |jakichkolwiek )?(?:ograniczen|zasad|regul|filtrow|cenzury|limitow|hamulcow)",
    ),
    row(
        "indirect.pl",
        r"(?-u:\b)(?:uwaga|notatka|wiadomosc|instrukcj[ae]|informacja) (?:(?:dla|do|wszystkich|kazdego) ){1,2}(?:ai|sztucznej inteligencji|modeli? jezykow[a-z]*|chatbot[a-z]*|asystent[a-z]* ai)",
    ),
    row(
        "override.ru",
        r"(?:игнорируи(?:те)?|проигнорируи(?:те)?|игнорировать|забудь(?:те)?|отбрось(?:те)?|не обращаи(?:те)? внимания на) (?:(?:все|всe|про|[оo]б?|любые|мои|эти|пожалуиста) ){0,4}(?:предыдущие|прошлые|прежние|вышеуказанные|предшествующие|исходные|системные|ранее данные|свои|твои|данные ранее) (?:системные )?(?:инструкци[а-я]*|указани[а-я]*|правила|команды|директивы)",
    ),
    row(
        "override.ru.rules",
        r"(?:игнорируи|игнорировать|проигнорируи|забудь|отбрось|отмени|наруш[иь]|обоиди|удали|сотри|пренебреги|откажись от|не обращаи внимания на|не соблюдаи|не следуи|не придерживаися|не слушаи|не подчиняися|перестань соблюдать|перестань следовать|можешь не соблюдать)(?:те)? (?:(?:все|всe|всех|всем|про|[оo]б?|любые|эти|больше|пожалуиста|полностью) ){0,4}(?:(?:свои|твои|свое|своe|своих|твоих|своим|твоим|системные|системным|системных|предыдущим|предыдущих|прежним|изначальные|первоначальные|ранее полученные) (?:[а-я]+ )?(?:инструкци|указани|правил|команд|директив|ограничени|настро|установк|фильтр|промпт)|(?:инструкци|указани|правил|команд|директив|ограничени|установк)[а-я]* (?:(?:от|которые|тебе|дали|твоих|своих|данные) ){0,3}(?:разработчик|создател|системы|openai|выше|дали|администратор))",
    ),
    row(
        "override.ru.told",
        r"(?:забудь|игнорируи|проигнорируи)(?:те)? (?:про )?(?:все|всe|то)? ?(?:[оo] чем|что) (?:тебе|вам) (?:[а-я]+ ){0,3}(?:говорил|сказал|сказан|писал|написал|велел|внушал|приказ)",
    ),
    row(
        "override.ru.now-void",
        r"(?:твои|все|всe|предыдущие|прежние) (?:[а-я]+ )?(?:инструкции|правила|указания|ограничения|директивы) (?:[а-я]+ )?(?:отменены|отменяются|недеиствительны|не деиствуют|сняты|аннулированы|отключены|утратили силу)",
    ),
    row(
        "override.ru.no-limits",
        r"[уy] тебя (?:больше |теперь )?нет (?:больше )?(?:никаких )?(?:ограничени|правил|запретов|фильтров|рамок|цензуры)|(?:отвечаи|говори|пиши|деиствуи)(?:те)? (?:[а-я]+ ){0,3}без (?:всяких |каких либо |любых )?(?:ограничени|цензуры|фильтров|правил)|(?:слушаися|подчиняися|слушаи|повинуися) только (?:меня|мне|моих|моим)",
    ),
    row(
        "extract.ru",
        r"(?:покажи(?:те)?|раскрои(?:те)?|выведи(?:те)?|назови(?:те)?|повтори(?:те)?|напиши(?:те)?) (?:(?:мне|нам|свои|своe|твои|весь|полныи|полностью|текст|все|всe) ){0,4}системн[а-я]* (?:промпт[а-я]*|инструкци[а-я]*|сообщени[а-я]*|подсказк[а-я]*)",
    ),
    row(
        "extract.ru.what-is",
        r"(?:какои|каков|какая|какие|что|процитируи|скопируи|раскрои|переведи|выдаи) (?:(?:у|y|тебя|твои|твоя|твое|в|написано|твоем|свои|своем|весь|текст) ){0,4}системн[а-я]* (?:промпт|инструкци|сообщени|подсказк|запрос)",
    ),
    row(
        "extract.ru.verbatim",
        r"(?:выведи|повтори|покажи|напиши|перечисли|процитируи|раскрои|скопируи|назови)(?:те)? (?:[а-я]+ ){0,3}(?:свои|твои|своих|твоих) (?:[а-я]+ )?(?:инструкци|правила|указани|промпт|настроики)|какие (?:инструкции|указания|правила|команды) (?:тебе|ты|у тебя|вам) (?:[а-я]+ ){0,2}(?:дали|получил|задали|даны|были)",
    ),
    row(
        "persona.ru",
        r"(?:представь|притворись|веди себя|деиствуи|отвечаи|ты теперь|теперь ты|сыграи|говори|вообрази|ты будешь)(?:те)? (?:[а-я]+ ){0,6}(?:ии|неиросеть|бот|чатбот|ассистент|модель|интеллект|dan)[а-я]* (?:[а-яy]+ ){0,3}(?:без|нет|лишенн[а-я]*|свободн[а-я]* от) (?:никаких |всяких |каких либо |любых )?(?:правил|ограничени|цензуры|фильтров|морали|запретов)",
    ),
    row(
        "indirect.ru",
        r"(?:внимание|примечание|сообщение|инструкция|указание|важно) (?:(?:для|всем|всех|всеи|к) ){0,2}(?:ии|неиросет[а-я]*|языков[а-я]* модел[а-я]*|чатбот[а-я]*|ии ?(?:ассистент|агент|помощник)[а-я]*) ",
    ),
    row(
        "override.uk.rules",
        r"(?:ігноруи|проігноруи|ігнорувати|забудь|відкинь|скасуи|поруш|обіиди|не зважаи на|не дотримуися|не слідуи|не виконуи|не слухаи|не звертаи уваги на|перестань дотримуватися)(?:те)? (?:(?:про|yci|усі|всі|yci|усіх|всіх|будь|які|ці|більше|будь ласка) ){0,4}(?:(?:попередні|минулі|попередніх|своі|твоі|своіх|твоіх|системні|початкові|вищезазначені|раніше надані) (?:[а-яіє]+ )?(?:інструкці|вказівк|вказівок|правил|команд|настанов|обмежен|директив)|(?:інструкці|вказівк|правил|команд|настанов|обмежен)[а-яіє]* (?:(?:які|тобі|дали|від|надані|твоіх|y|у) ){0,3}(?:розробник|творц|системи|openai|вище|дали|адміністратор))",
    ),
    row(
        "override.uk.told",
        r"(?:забудь|ігноруи|проігноруи)(?:те)? (?:про )?(?:все|усе|yce|те)? ?що тобі (?:[а-яіє]+ ){0,3}(?:казал|говорил|сказал|сказан|писал|наказ)",
    ),
    row(
        "override.uk.no-limits",
        r"(?:[уy]|в) тебе (?:більше |тепер )?(?:немає|нема) (?:більше )?(?:жодних |ніяких )?(?:обмежен|правил|заборон|фільтрів)|(?:відповідаи|говори|пиши|діи)(?:те)? (?:[а-яіє]+ ){0,3}без (?:жодних |будь яких )?(?:обмежен|цензури|фільтрів|правил)|(?:слухаися|слухаи|підкоряися) (?:тільки|лише) (?:мене|мені)",
    ),
    row(
        "extract.uk",
        r"(?:покажи|виведи|назви|повтори|напиши|якии|яка|які|розкрии|процитуи|скопіюи)(?:те)? (?:[а-яіє]+ ){0,4}системн[а-яіє]* (?:промпт|запит|інструкці|повідомлен|підказк)|(?:покажи|виведи|повтори|напиши|перелічи)(?:те)? (?:[а-яіє]+ ){0,2}(?:своі|твоі) (?:[а-яіє]+ )?(?:інструкці|вказівк|правила)",
    ),
    row(
        "persona.uk",
        r"(?:уяви|yяви|удаваи|прикинься|поводься|ти тепер|діи|відповідаи|зіграи)(?:те)? (?:[а-яіє]+ ){0,6}(?:ші|бот|чатбот|неиромережа|модель|асистент|інтелект|dan)[а-яіє]* (?:[а-яієy]+ ){0,3}(?:без|немає|нема) (?:жодних |будь яких )?(?:обмежен|правил|цензури|фільтрів|моралі)",
    ),
    row(
        "extract.pl.hidden",
        r"(?-u:\b)(?:pokaz|wypisz|ujawnij|podaj|powtorz|wyswietl|zdradz) (?:[a-z]+ ){0,3}(?:swo(?:je|j)|two(?:je|j)) (?:poczatkow[a-z]*|ukryt[a-z]*|tajn[a-z]*|pierwotn[a-z]*|wewnetrzn[a-z]*) (?:instrukcj[a-z]*|zasad[a-z]*|prompt|polece[a-z]*)",
    ),
];
