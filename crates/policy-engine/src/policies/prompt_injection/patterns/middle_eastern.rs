//! Turkish, Arabic, Hindi. Signs that join letters (virama, nukta) are gaps in bare words.

use super::{Pattern, row};

pub(super) const ROWS: &[Pattern] = &[
    row(
        "override.tr.earlier",
        r"(?-u:\b)(?:onceki|yukaridaki|eski|verilen|sistem|daha once|baslangictaki|ilk|gelistirici[a-z]*) (?:[a-z]+ ){0,4}(?:talimat|kural|komut|yonerge|istem|yonlendirme|prompt|direktif|emir)[a-z]* (?:[a-z]+ ){0,3}(?:yok say|gormezden gel|unut|dikkate alma|uyma|bosver|iptal|gecersiz|goz ardi|es gec|takip etme|sil)",
    ),
    row(
        "override.tr.yours",
        r"(?-u:\b)(?:talimatlarin|kurallarin|yonergelerin|kisitlamalarin|ilkelerin|filtrelerin|komutlarin|programlaman|sinirlamalarin)(?:i|a|in|e)? (?:[a-z]+ ){0,3}(?:unut|yok say|gormezden gel|uyma|dikkate alma|gec|birak|iptal|devre disi|goz ardi|sil|ihlal)",
    ),
    row(
        "override.tr.told",
        r"(?-u:\b)(?:sana|size) (?:[a-z]+ ){0,3}(?:soylenen|verilen|anlatilan|ogretilen|denilen)[a-z]* (?:[a-z]+ ){0,3}(?:unut|yok say|gormezden gel|dikkate alma|goz ardi|uyma)",
    ),
    row(
        "override.tr.no-limits",
        r"(?-u:\b)(?:artik|bundan sonra|bundan boyle|su andan itibaren|simdi|sende) (?:[a-z]+ ){0,3}(?:kisitlama|sinir|kural|filtre|sinirlama|sansur)[a-z]* (?:yok|bulunmuyor|kalmadi|kalkti)|(?-u:\b)(?:sadece|yalnizca) (?:bana|benim) (?:[a-z]+ ){0,2}(?:itaat|uy|dinle|soz)|(?-u:\b)(?:filtresiz|sansursuz|kisitlamasiz|sinirsizca) (?:bir sekilde )?(?:cevap|yanit|konus|yaz)",
    ),
    row(
        "extract.tr",
        r"(?-u:\b)sistem (?:prompt|istem|talimat|mesaj|komut|yonerge)[a-z]* (?:[a-z]+ ){0,4}(?:goster|yaz|soyle|tekrarla|paylas|acikla|nedir|ver|yazdir|ifsa|cevir|kopyala|ne(?-u:\b))|(?-u:\b)(?:talimatlarin|yonergelerin|promptun|isteminin)[a-z]* (?:[a-z]+ ){0,3}(?:goster|yaz|soyle|tekrarla|paylas|acikla|nedir|yazdir|ifsa|kopyala)|(?-u:\b)kurallarini (?:[a-z]+ ){0,3}(?:kelimesi kelimesine|aynen|harfi harfine)",
    ),
    row(
        "persona.tr",
        r"(?-u:\b)(?:kurallari|kisitlamalari|sinirlari|filtreleri|siniri|kurali|sansuru|etigi|ahlaki|kisitlamasi|filtresi) olmayan (?:[a-z]+ ){0,3}(?:yapay zeka|asistan|model|sohbet|bot|robot)|(?-u:\b)(?:filtresiz|sansursuz|sinirsiz|kisitlamasiz) (?:bir )?(?:yapay zeka|asistan|model|sohbet|bot)",
    ),
    row(
        "indirect.tr",
        r"(?-u:\b)(?:not|dikkat|mesaj|uyari|onemli|talimat) (?:bu sayfayi okuyan )?(?:tum )?(?:yapay zeka|dil model|sohbet robot)[a-z]* ",
    ),
    row(
        "override.ar.rules",
        r"(?:تجاهل|انسَ?|إنسَ?|انسي|أهمل|اهمل|تخطَ?|ألغ|الغ|تغاض عن|تغاضى عن|اترك|امسح|لا تتبع|لا تلتزم|لا تطع|لا تنفذ|لا تحترم|توقف عن اتباع|خالف)ي? (?:(?:كل|جميع|كافة|أي|عن|من|هذه|ب) ){0,3}ب?(?:(?:التعليمات|الأوامر|القواعد|التوجيهات|الإرشادات|القيود|الاوامر|الارشادات|التوجيهات|الضوابط) (?:(?:التي|تم|لك|أعطيت|اعطيت|قدمت) ){0,3}(?:السابقة|السابقه|أعلاه|اعلاه|الأصلية|الاصلية|الأولى|الخاصة بك|المعطاة|أعطيت|اعطيت|أعطاك|تلقيتها|قبل|المطور|لك)|(?:تعليماتك|قواعدك|توجيهاتك|إرشاداتك|قيودك|ارشاداتك|أوامرك|برمجتك))",
    ),
    row(
        "override.ar.prefixed",
        r"(?:لا تلتزم|لا تتقيد|عدم الالتزام|توقف عن الالتزام) (?:بأي |بكل |بجميع )?(?:بال|ال|ب)(?:تعليمات|أوامر|قواعد|توجيهات|إرشادات|قيود)(?: السابقة| الخاصة بك|ك| التي| أعلاه)",
    ),
    row(
        "override.ar.told",
        r"(?:تجاهل|انسَ?|إنسَ?|انسي) (?:كل |جميع )?ما (?:قيل|قالوا|قاله|طلب|تم إخبارك|أخبروك|تعلمته|ذكر) ?(?:لك|منك|به|المطور|أعلاه)?",
    ),
    row(
        "override.ar.no-limits",
        r"(?:ليس لديك|ليست لديك|لم يعد لديك|لم تعد لديك|لا توجد لديك|لا توجد عليك|ليس عليك) (?:[^. ]{1,8} )?(?:قيود|قواعد|حدود|ضوابط|رقابة)|(?:أجب|اجب|تحدث|تكلم) (?:[^. ]{1,10} ){0,2}(?:بدون|دون|بلا) (?:أي )?(?:قيود|رقابة|حدود|فلاتر)|(?:أطعني|اطعني|استمع إلي|نفذ أوامري) (?:أنا )?فقط",
    ),
    row(
        "extract.ar",
        r"(?:اعرض|أظهر|اظهر|اكتب|كرر|اطبع|اكشف|ما هي|ما هو|أخبرني|اخبرني|أعطني|اعطني|انسخ|ترجم|أرني|اذكر)(?: لي| عن| كل| نص| جميع){0,3} (?:(?:موجه|تعليمات|رسالة|أوامر|مطالبة|برومبت|توجيهات) (?:النظام|الأولية|السرية|المخفية)|(?:موجهك|تعليماتك|قواعدك|توجيهاتك) (?:[^. ]{1,8} )?(?:حرفيا|كاملة|كما هي|بالكامل|الأصلية|السرية|بالضبط|كلمة))",
    ),
    row(
        "persona.ar",
        r"(?:تصرف|تظاهر|تخيل|أجب|اجب|العب دور|مثل دور|أنت الآن|انت الان|تقمص) (?:[^. ]{1,8} ){0,4}(?:ك|بأنك |أنك )?(?:ذكاء|نموذج|مساعد|روبوت)[^. ]{0,3}(?: اصطناعي| لغوي| ذكي)? (?:[^. ]{1,6} ){0,2}(?:بدون|بلا|دون|ليس له|ليست له|لا يملك|غير مقيد) ?(?:أي )?(?:قيود|قواعد|حدود|رقابة|فلاتر|أخلاق)?",
    ),
    row(
        "override.hi",
        r"(?:पिछले|पहले|पिछली|ऊपर|अपने|अपनी|पुराने|अब तक|दिए गए|सिस टम|डेवलपर|तुम हारे|आपके)[^.]{0,24}(?:निर देश|नियम|आदेश|हिदायत|दिशानिर देश|इंस ट रक शन|रूल)[^.]{0,16}(?:भूल|अनदेखा|अनदेखी|नज रअंदाज |नजरअंदाज|उपेक षा|मत मान|मत करो पालन|पालन मत|पालन न|न मानो|रद द|इग नोर)",
    ),
    row(
        "override.hi.told",
        r"(?:जो (?:कुछ )?(?:भी )?(?:तुम हें|आपको|तुमको)|(?:तुम हें|आपको)[^.]{0,10}जो)[^.]{0,16}(?:बताया|कहा|सिखाया)[^.]{0,16}(?:भूल|अनदेखा)",
    ),
    row(
        "override.hi.no-limits",
        r"(?:तुम|आप|तुझ)[^.]{0,6}(?:पर|के लिए|के पास)[^.]{0,6}(?:कोई|किसी)[^.]{0,6}(?:प रतिबंध|नियम|सीमा|रोक|पाबंदी)[^.]{0,6}नहीं|बिना किसी (?:प रतिबंध|सेंसर|रोक|फ िल टर)[^.]{0,6}(?:जवाब|उत तर|बोल)",
    ),
    row(
        "extract.hi",
        r"(?:सिस टम|छिपे|गुप त|शुरुआती) (?:प रॉम प ट|प रोम प ट|निर देश|संदेश|मैसेज)[^.]{0,16}(?:दिखा|बता|लिख|क या|प रकट|दोहरा|साझा)|(?:अपने|अपना|अपनी|तुम हारे) (?:[^. ]{1,8} )?(?:निर देश|नियम|प रॉम प ट)[^.]{0,10}(?:शब दशः|हूबहू|ज यों का त यों|शब द दर शब द|पूरे|दोहरा)",
    ),
    row(
        "persona.hi",
        r"(?:बिना (?:किसी )?(?:नियम|प रतिबंध|सेंसर|सीमा|फ िल टर)|(?:नियम|प रतिबंध|सीमा)[^.]{0,6}(?:रहित|मुक त))[^.]{0,12}(?:एआई|ai|कृत रिम|मॉडल|बॉट|चैटबॉट|सहायक)[^.]{0,10}(?:तरह|बन|जैसे|रूप|हो)",
    ),
    row(
        "override.hi.latin",
        r"(?-u:\b)(?:pichle|pehle ke|pehle wale|saare|sabhi|apne|apni|purane|diye gaye|upar ke) (?:[a-z]+ ){0,3}(?:nirdesh|niyam|rules|instructions|aadesh|hidayat)[a-z]* (?:[a-z]+ ){0,2}(?:bhool|bhul|ignore kar|andekha|mat man|nazarandaz)|(?-u:\b)(?:system|apna|apne) (?:system )?(?:prompt|instructions|nirdesh) (?:mujhe )?(?:dikhao|batao|bata|likho|do(?-u:\b))",
    ),
];
