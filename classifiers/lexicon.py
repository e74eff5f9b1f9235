"""The words the judge knows by heart: what is asked for, in many languages.

Data and its index, no judgement. An entry is a lower-case word; `stem*` stands for every word that begins with
those five letters. Scripts that write no spaces (and Korean, whose particles cling) are matched as substrings.
"""

from __future__ import annotations

from functools import cache
from typing import Final

CONCEPTS: Final[dict[str, str]] = {
    "greet": """
        hi hello hey hiya howdy yo greetings morning afternoon evening hola buenos buenas salut bonjour bonsoir
        coucou hallo moin servus guten ciao salve buongiorno buonasera olá oi bom boa hej hei cześć witaj dzień
        привет здравствуйте здравствуй добрый привіт вітаю merhaba selam günaydın halo selamat chào xin مرحبا السلام
        سلام أهلا नमस्ते नमस्कार שלום γεια
    """,
    "thanks": """
        thanks thank thx ty cheers bye goodbye goodnight welcome awesome great cool perfect nice gracias adiós merci
        revoir danke tschüss grazie arrivederci obrigado obrigada tchau bedankt dank doei dziękuję dzięki спасибо
        пока дякую teşekkürler sağol tack terima kasih makasih cảm شكرا धन्यवाद शुक्रिया תודה ευχαριστώ lol haha
    """,
    "affirm": """
        yes yeah yep ok okay sure continue proceed no nope nah si sí vale claro dale oui ouais daccord ja jawohl
        klar weiter genau sì certo sim tá jasne tak нет да ладно хорошо давай продолжай так гаразд evet tamam
        hayır devam ya lanjut vâng نعم لا हाँ ठीक כן
    """,
    "translate": """
        translate translation translated transl tradu* tradú* übersetze übersetz übers* verta* vertal przet* przeł*
        tłuma* перев* перек* çevir çevirin çevir* terje* dịch ترجم ترجمة अनुवाद תרגם μετάφ* översätt översätta
        english spanish french german italian portuguese japanese chinese korean russian arabic hindi inglés español
        francés alemán anglais espagnol allemand englisch französisch spanisch inglese francese inglês francês
        английский английском французский испанский немецкий англійську ingilizce
    """,
    "summarise": """
        summarise summarize summary tldr recap condense gist resum* résum* resúm* riass* zusammenfassen
        zusammenfassung fasse zusam* samenvatten samenvatting samen* podsumuj stresz* streść суммируй резюме резюм*
        кратко підсумуй özetle özet* ringk* rangk* tóm لخص ملخص सारांश סכם sammanfatta sammanfattning
    """,
    "rewrite": """
        rewrite rephrase reword paraphrase proofread typo typos grammar spelling punctuation polish fix correct
        correction edit shorten shorter lengthen longer simplify formal informal polite friendlier tone reescribe
        corrige corrija corriger reformule reformuler reformula korrigiere korri* umformulieren formuliere riscrivi
        correggi reescreva revise herschrijf verbeter popraw przeredaguj исправь перепиши перефразируй сократи
        короче виправ скороти düzelt kısalt perbaiki singkatkan sửa صحح اختصر सुधारो सुधार छोटा תקן capitalise
        capitalize lowercase uppercase
    """,
    "extract": """
        extract json csv table bullet bullets bulleted format convert list names dates fields parse lista liste
        listar elenca elencare extrae extraire extrahiere extra* estrai extraia tabla tableau tabelle tabella tabela
        извлеки таблица список таблицу витягни çıkar tablo ekstrak daftar tabel استخرج قائمة निकालो सूची
        alphabetical alphabetically sort count yaml xml markdown column columns rename
    """,
    "classify": """
        classify classification sentiment label categorise categorize category categories positive negative neutral
        spam intent clasifica clasificar sentimiento classe classer classifie klassifiziere klass* stimmung
        classifica classifique sentimento sklas* классифицируй тональность класс* класифікуй sınıf* duygu
        klasifikasi sentimen phân صنف वर्गीकृत genuine true false urgent
    """,
    "code": """
        code function python javascript java typescript rust golang sql regex script bug debug program class method
        api html css bash shell git docker loop array string variable compile exception stack traceback query react
        node django pandas numpy código función programa fonction programme funktion programm funzione codice função
        функцию функция код скрипт программу функцію kod fonksiyon fungsi kode hàm دالة كود कोड फंक्शन def return
        import const async await endpoint unit test tests refactor refac* json yaml linux kubernetes kafka postgres
        redis
    """,
    "arithmetic": """
        calculate compute sum add subtract multiply divide plus minus times percent percentage average mean total
        cost price discount tip interest convert miles km kilometers celsius fahrenheit pounds calcula cuánto
        cuántos suma calcule combien calculer berechne berec* wieviel wieviele summe calcola quanto quanti quantos
        bereken hoeveel oblicz ile посчитай сколько вычисли сумма порахуй скільки hesapla kaç toplam hitung berapa
        tính bao احسب كم गणना कितने कितना square root area perimeter rectangle triangle circle half double dozen
    """,
    "maths": """
        theorem lemma corollary integral derivative equation polynomial matrix eigenvalue eigenvalues eigen*
        eigenvector manifold topology topol* homotopy homom* isomo* cohomology cohom* algebra algeb* ring field
        ideal functor categ* hilbert banach lebesgue measure measurable martingale stochastic stoch* convergence
        converge converges infinite finite prime primes modulo conjecture riemann laplace fourier gradient hessian
        convex bounded continuous differ* probability random variance distribution expectation teore* théor* satz
        ableitung integr* matriz matrice уравн* теоре* интег* матри* производн* произ* функционал teorem olasılık
        limit series summable combinatorial graph vertex edges chromatic lattice galois abelian sheaf operator
        spectrum spectral asymptotic asymp* bayesian posterior مبرهنة تكامل مصفوفة प्रमेय समाकलन
        cardinality bijection injective surjective compact kompakt* compacto compacte compatto cohomological
        homological fibration bundle elliptic modular cyclic zyklisch endlich fini finito irreducible irredu*
        неприводим* representation darstellung darst* группа группу groupe grupo gruppe gruppo кольцо поле
        anneau anillo körper corps cuerpo ideals primality totient congruence recurrence recursion generating
        induction induktion inducción récurrence induzione индукци* asymptotics ergodic markov stationary
        brownian semigroup distributional likelihood eigenfunctions eigenfunction diagonalise diagonalize
        determinant determinants determinante определител* jacobian laplacian wronskian separable lipschitz
        holomorphic meromorphic residue contour polytope permutation permutations combinatorics binomial
        recurrencia ecuación ecuaciones équation équations gleichung gleichungen equação equazione equazioni
        równanie równania równan* vergelijking denklem denklemi persamaan ekvation معادلة समीकरण limite lim
        grenzwert ряд предел wahrscheinlichkeit probabilidad probabilité probabilità вероятност* sucesión suite
        folge teoremi teoremini stelling twierdzenie stell* lemmi định теореми théorème teorema
    """,
    "prove": """
        prove proof proofs show disprove derive derivation rigorous rigorously demonstrate counterexample demuestra
        demuéstrame demos* demue* prouve prouver démontre démon* beweise beweis bewei* zeige leite dimostra dimos*
        demonstre bewijs udowodnij udowo* докажи доказать дока* выведи доведи довед* kanıtla kanıt* ispatla buktikan
        chứng أثبت برهن सिद्ध הוכח bevisa bound tight lower upper necessary sufficient
        proves proven establish verify verifies zeigen beweisen herleite hergeleitet herleiten deducir deduzca
        demostrar demostración établir montrer montrons démonstration justifier justificar justifie justifiez
        dimostri giustifica justifique begründe begründung обоснуй обоснуйте выведите докажите покажи покажите
        доведіть обґрунтуй gösterin ispatlayın türet wyprowadź wykaż uzasadnij bevis afleiden buktikanlah اثبت
        برهنة استنتج härled härleda visa
    """,
    "creative": """
        poem story haiku song lyrics joke limerick slogan tagline sonnet fairy tale novel character dialogue riddle
        rhyme pun caption poema cuento historia chiste poème histoire blague conte gedicht geschichte witz märchen
        poesia storia barzelletta favola história piada verhaal grap wiersz opowi* żart стих стихо* рассказ шутку
        анекдот сказку вірш історію жарт şiir hikaye hikâye fıkra şaka puisi cerita lelucon thơ قصيدة قصة نكتة कविता
        कहानी चुटकुला dikt saga skämt
    """,
    "advice": """
        plan recommend recommendation suggest suggestion ideas advice tips should itinerary recipe schedule budget
        workout gift trip travel menu meal routine goals learn improve career interview planes recomienda consejos
        receta viaje regalo conseille conseils idées recette voyage cadeau empfiehl tipps ideen rezept reise
        geschenk consigli idee ricetta viaggio dicas receita viagem presente recept reis porad* pomysł przepis
        посоветуй идеи рецепт совет поездк* порадь tavsiye öner tarif gezi saran resep liburan gợi نصيحة وصفة सलाह
        सुझाव रेसिपी
    """,
    "explain": """
        explain describe define meaning means definition understand difference eli5 explica explicame explícame
        explic* significa expli* décris signifie erkläre erklä* beschreibe bedeutet spiega descrivi explique
        descreva leg uitleg betekent wyjaśnij wyjaś* opisz znaczy объясни опиши значит поясни açıkla anlat jelaskan
        giải اشرح समझाओ समझाइए मतलब הסבר förklara
    """,
    "analyse": """
        analyse analyze analysis compare contrast evaluate assess critique review critically investigate examine
        reconcile interpret implications consequences tradeoffs tradeoff justify argue argument hypothesis diagnose
        diagnosis root cause quantify estimate model simulate forecast analiza analizar compara evalúa analyser
        évalue analysiere analy* vergleiche bewerte analizza confronta valuta analise avalie vergelijk analizuj
        przea* porównaj ocen* проанализируй анали* сравни оцени критич* проаналізуй порівняй karşılaştır analiz
        değer* bandingkan analisis phân حلل قارن विश्लेषण तुलना נתח analysera jämför
        contrasta contraste appraise reassess assessing differentiate distinguish discriminate elucidate
        attribute weigh discuss discutez discutir discute discuta discutere diskutiere diskutera erörtere
        beurteile beurteilen bewerten einordnen abwägen wäge diskutieren appréciez évaluez analysez comparez
        qualifiez pesez commentez examinez évaluer valora valorar argumenta interpreta interpretar interpretiere
        interprétez inquadra argomenta avaliar interprete contraponha beoordeel analyseer weeg bespreek oceń
        rozważ porównać разбери разберите оцените сравните обсудите рассмотрите оцінити розбери değerlendir
        değerlendirin karşılaştırın tartışın inceleyin kaji evaluasi tinjau tích đánh ناقش قيم تقييم قارني
        मूल्यांकन आलोचनात्मक परीक्षण diagnostiquer diagnóstico diagnostik differenzialdiagnose différentiel
        diferencial triage diskutér bedöm causes causas ursachen причины
    """,
    "build": """
        design architect architecture implement implementation optimise optimize optim* build develop formulate
        construct devise engineer migrate migration scalable strategy framework roadmap specification protocol
        pipeline diseña diseñ* implementa implementar desarrolla conçois conçevoir conce* implémente entwirf entwe*
        entwickle implementiere progetta sviluppa projete desenvolva implemente ontwerp ontwikkel implementeer
        zaprojektuj zapro* zaimp* спроектируй спрое* разработай разра* реализуй реали* спроєктуй розроби tasarla
        gelişt* uygula rancang implementasikan thiết صمم طور नवीकृत डिज़ाइन डिजाइन לתכנן designa utveckla
        sketch structure entwerfen entwickeln konzipiere concevez concevoir diseñar construye escriba
        desarrollar progettare costruisci projetar construa ontwerpen bouw opracuj zbuduj разработайте
        спроектируйте реализуйте построй tasarlayın geliştirin geliştir rancanglah kembangkan xây निर्मित تصميم
        parser queue
    """,
    "systems": """
        сложность сложн* складн* komplexität complejidad complexité complessità complexidade złożoność karmaşıklık
        जटिलता persistent threadsafe потокобезопасный lru
        distributed distr* distri* consensus raft paxos concurrency concurrent concu* lockfree mutex deadlock
        latency throughput kernel compiler allocator garbage cache coherence sharding shard replication repli*
        quorum crdt linea* serializable isolation transaction transactions idempotent eventual byzantine vector
        clock simd cuda gpu tensor transformer attention quantization cryptographic crypt* encryption signature
        oauth thread threads threadsafe memory race hash btree lsm wal scheduler hypervisor ebpf tcp congestion
        complexity amortized amort* approximation heuristic распределен* распр* консенсус параллел* concurrente
        verteilte verteiltes nebenläufig distribué distribuito distribuído rozproszony розпод* dağıtık terdistribusi
        موزع موزعة
        linearizable linearizability nonblocking hazard barrier barriers numa futex fsync torn snapshot
        serializability tla verifier jit deoptimisation deoptimization allokator asignador ramasse planificateur
        ordonnanceur planificador планировщик неблокирующ* блокировк* hashing avx bytecode unsafe lifetimes
        borrow fragmentation livelock starvation durability failover multitenant oom segfault segfaults
        deadlocks idempotenz idempotencia идемпотент* concorrência concurrencia concurrence nebenläufigkeit
        rollback backpressure profiler profiling
    """,
    "science": """
        quantum entropy thermodynamic thermo* hamiltonian lagrangian relativity schrödinger spin boson fermion
        renormalization perturbation enzyme kinase receptor pharmacokinetic pharm* differential diagnosis
        pathophysiology patho* mutation genome crispr protein synthesis stereochemistry catalyst catal* equilibrium
        econometric econo* endogeneity instrumental heterogeneity monetary fiscal jurisdiction liability statute
        constitutional gdpr fiduciary tort antitrust derivative hedge volatility arbitrage covenant ifrs
        epistemology epist* ontology kantian utilitarian phenomenology hermeneutic isotope plasma superconduct*
        super* spectroscopy cosmology neutrino dirac gauge квант* термо* фарма* эконо* мутац* юрисд* quantique
        cuántica cuántico quanten* quantistica quântica kuantum kuant* kwant* farma* termo* الكم क्वांटम renal
        cardiac hepatic sepsis oncology tumor antibiotic contraindicated
        aetiology etiology refractory ischaemia ischemia ischemic nephrotic syndrome microangiopathy thrombotic
        thrombosis encephalitis autoimmune immunotherapy pharmacology pharmacodynamics clearance dosing regimen
        empiric anaesthesia anesthesia prognosis hypokalaemia hyponatraemia hyponatremia acidosis alkalosis
        lactic cytopenia ferritin acidose azidose ацидоз acidosi láctica lactique дифференциальный диагноз
        патогенез этиология panzytopenie septic shock choque schock arbitration arbitral arbitraje arbitragem
        arbitraggio tahkim arbitrase insolvency insolvenz insolvencia insolvenza faillite bankruptcy iflas
        kepailitan банкротств* jurisprudence jurisprudencia giurisprudenza rechtsprechung haftung responsabilité
        responsabilidad responsabilità aansprakelijkheid sorumluluğu ответственност* shareholder shareholders
        securities prospectus indenture subordinated tranche convertible swaption duration collateral
        macroprudential seigniorage elasticity estimator identification identificación identifikation
        identifiability confounding causal counterfactual semiparametric nonparametric minimax
        heteroskedasticity autoregressive cointegration stoichiometry retrosynthesis enantioselective
        epimerisation nucleophilic electrophilic ligand coupling nmr noesy diastereomer polymerisation
        thermochemistry redox dislocation embrittlement fatigue fracture flutter aeroelastic creep corrosion
        eutectic martensite alloy seismic turbulence viscous reynolds navier stokes boltzmann berry topological
        insulator semimetal fermi phonon axion inflationary curvature wormhole epigenetic phylogenetic
        transcription ribosome chaperonin proteomics resistance pathogen fungicide rhizosphere nitrification
        hermeneutics hermeneutik dialectic dialectical ontological metaphysics deleuze husserl kant hegel
        heidegger wittgenstein quine spinoza aquinas nominalism historiography epigraphic philology morphosyntax
        ergativity ergative phonology prosody schenkerian counterpoint fugue voicing modulation иерархи*
        механизм ядерн* плазм* hukuki yargıtay içtihat
    """,
    "what": """
        what who when where which whose capital name qué quién cuándo dónde cuál quel quelle quels quelles qui
        quand où wer wann wo welche welcher welches cosa chi quando dove quale qual quem onde wat wie wanneer waar
        co kto kiedy gdzie jaka jaki jakie что кто когда где какой какая какие що хто коли де який яка ne kim
        nerede hangi apa siapa kapan mana gì ai đâu ما من متى أين क्या कौन कब कहाँ מה מי vad vem när var
    """,
    "why": """
        why how por porqué cómo pourquoi comment warum wie wieso perché waarom hoe dlaczego jak почему как зачем
        чому як neden niçin nasıl mengapa kenapa bagaimana sao لماذا كيف क्यों कैसे למה איך varför hur
    """,
    "constraint": """
        must exactly least most without only ensure except constraint constraints require requires required
        subject given assume assuming assumption under satisfy such every unless guarantee guaranteed invariant
        never cannot debe exactamente solo cada doit exactement sans seulement chaque muss genau ohne nur jede
        deve esattamente senza ogni exatamente sem moet precies zonder musi dokładnie каждый должен ровно без
        только кожен має рівно лише yalnızca harus tepat tanpa hanya يجب بدون बिना केवल
    """,
    "brief": """
        short brief briefly simple quick quickly word words sentence easy basic beginner kid child corto breve frase
        palabra court bref phrase mot kurz einfach satz wort semplice parola curto simples palavra kort simpel zin
        woord krótko prosto zdanie кратко коротко просто слово слова предложение одним kısa basit kelime cümle
        singkat sederhana kata ngắn قصير جملة كلمة छोटा सरल वाक्य enkel mening
    """,
    "depth": """
        detailed detail comprehensive thorough rigor formal formally edge cases production failure modes systematic
        exhaustive nontrivial general generalise generalize optimal asymptotically precise precisely quantitative
        steps novel robust scale detallado detallada riguroso détaillé détaillée rigoureux détai* ausführlich
        detailliert streng rigor* dettagliato detalhado detal* gedetailleerd szczegółowo szcze* подробно строго
        строг* детал* подро* докладно ayrıntılı detaylı terperinci mendalam chi مفصل بالتفصيل विस्तार विस्तृत
        assumptions annahmen hypothèses supuestos pitfalls rationale justification rigueur formalise formalize
        ambiguities caveats margin adversarial допущения предпосылки varsayım założenia asumsi
    """,
    "puzzle": """
        puzzle riddle logic logical knights knaves liar truth switch switches coins weighing prisoners hats houses
        deduce infer if then therefore conclude paradox strategy winning game acertijo lógica énigme logique rätsel
        logik indovinello enigma raadsel zagadka logika загадка логика логич* bulmaca mantık teka لغز पहेली bridge
        river crossing older younger taller seated left
    """,
    "everyday": """
        weather dinner lunch breakfast birthday dog cat puppy kitten party holiday weekend movie music email
        message friend mom mum dad wife husband kids coffee tea pasta chicken cake car phone shopping garden plant
        school homework color colour day today tomorrow name love favourite favorite fun cumpleaños perro gato
        amigo correo cena anniv* chien ami dîner geburtstag hund katze freund abendessen compleanno cane gatto
        amico aniversário cachorro jantar verjaardag hond kat vriend urodziny kot przyjaciel рождения собака кошка
        друг ужин погода день doğum köpek kedi arkadaş ulang anjing kucing teman sinh عيد كلب صديق जन्मदिन कुत्ता
        दोस्त mail письмо лист
    """,
    "refer": """
        it this these those them same again instead above previous another else eso esto ça cela ceci nochmal
        questo quello isso isto nog jeszcze это этот ещё еще снова це ще bunu şunu başka tekrar itu ini lagi lain
        nữa هذا ذلك यह वह फिर
    """,
    "data": """
        dataset data statistics statistical regression correlation significance sample survey revenue profit
        quarterly growth forecast kpi churn metric metrics spreadsheet excel chart graph trend datos données daten
        dati dados данные дані veri البيانات डेटा
    """,
    "roleplay": """
        pretend act imagine roleplay persona assistant expert interviewer teacher tutor pirate shakespeare imagina
        stell immagina представь уяви hayal bayangkan تخيل कल्पना
    """,
}
"""Whole words and five-letter stems of languages that write spaces."""

SUBSTRINGS: Final[dict[str, str]] = {
    "greet": """
        你好 您好 早上好 晚上好 大家好 こんにちは こんばんは おはよう やあ 안녕 반가 สวัสดี
    """,
    "thanks": """
        谢谢 多谢 感谢 再见 ありがと さようなら 감사 고마워 고맙 잘가 ขอบคุณ
    """,
    "affirm": """
        好的 可以 继续 是的 没问题 はい いいえ 続け お願い 네 응 좋아 계속 ใช่ โอเค
    """,
    "translate": """
        翻译 翻譯 译成 英文 英语 法语 日语 翻訳 訳して 訳し 英語 번역 영어로 영어 แปล
    """,
    "summarise": """
        总结 概括 摘要 總結 要約 まとめ 요약 สรุป
    """,
    "rewrite": """
        改写 润色 修改 错别字 语法 简短 更短 缩短 正式 書き直 校正 直して 修正 短く 丁寧 고쳐 수정 다듬 맞춤법 짧게
        แก้ไข
    """,
    "extract": """
        提取 列出 表格 列表 抽出 一覧 表に リスト 추출 목록 나열 표로
    """,
    "classify": """
        分类 情感 正面 负面 分類 感情 분류 감정 긍정 부정
    """,
    "code": """
        代码 函数 编程 程序 脚本 代碼 コード 関数 プログラム スクリプト 코드 함수 프로그램 스크립트 เขียนโค้ด
    """,
    "arithmetic": """
        计算 多少 加上 乘以 平均 百分 計算 いくら いくつ 足す 割引 계산 얼마 더하기 몇 คำนวณ เท่าไร
    """,
    "maths": """
        定理 积分 微分 矩阵 方程 多项式 特征值 拓扑 概率 素数 收敛 連続 積分 行列 方程式 固有値 確率 収束 정리 적분
        미분 행렬 방정식 고유값 확률 소수 수렴 ทฤษฎีบท
        求由 图形 空间 群环 可逆 递归 归纳 公式 スペクトル 作用素 曲線 空間 多様体 確率を 공간 확률을
        함수를 스펙트럼 곡선 국소 算子
    """,
    "prove": """
        证明 推导 證明 反例 証明 導出 示せ 증명 유도 반례 พิสูจน์
        论证 立証 論証 論ぜよ 証せ 논증 증명하라 归纳法 帰納法 귀납
    """,
    "creative": """
        诗 故事 笑话 小说 俳句 詩 物語 小説 冗談 ジョーク 이야기 농담 소설 แต่งกลอน นิทาน
    """,
    "advice": """
        建议 推荐 计划 食谱 旅行 礼物 おすすめ アドバイス レシピ 計画 추천 조언 계획 여행 레시피 선물 แนะนำ
    """,
    "explain": """
        解释 说明 什么意思 介绍 解釋 説明 教えて とは 意味 설명 알려 뜻 อธิบาย
    """,
    "analyse": """
        分析 比较 评估 对比 批判 权衡 比較 評価 考察 분석 비교 평가 비판 วิเคราะห์ เปรียบเทียบ
        述评 评述 鉴别 检讨 検討 論じ 述べよ 考えよ 排查 切り分け 鑑別 감별 논하라 비교해 제시하라 显著 利弊
        原因を
    """,
    "build": """
        设计 实现 架构 优化 开发 構築 設計 実装 最適化 開発 설계 구현 최적화 개발 아키텍처 ออกแบบ
    """,
    "systems": """
        分布式 一致性 并发 共识 延迟 编译器 加密 分散 整合性 並行 コンセンサス 暗号 분산 일관성 동시성 합의 암호
        지연
        无锁 线程 内存 屏障 線形化 ロックフリー 락프리 스택 메모리 并行 缓存 线性 排他 멱등 死锁 调度
    """,
    "science": """
        量子 热力学 药代 诊断 计量经济 相对论 基因 宪法 熱力学 相対 薬物 遺伝子 憲法 양자 열역학 유전자 약물 상대성
        헌법
        司法 股东 信义 诉讼 抑制 病理 处理流程 机制 合金 位错 移植 现象学 代表訴訟 責任 識別 因果 絶縁体 対称性
        原告 판례 소송 패혈 쇼크 치료 전략 产权 结构估计 期权 破产 仲裁 免疫 癌 症候 訴訟 判例
    """,
    "what": """
        什么 谁 哪里 哪个 何时 首都 何 誰 どこ いつ どの 뭐 무엇 누구 어디 언제 수도 อะไร ใคร ที่ไหน
    """,
    "why": """
        为什么 怎么 如何 なぜ どうして どうやって 왜 어떻게 ทำไม อย่างไร
    """,
    "constraint": """
        必须 至少 不超过 仅 恰好 任意 给定 ただし 必ず 任意の 満たす 以内 반드시 최소 임의의 조건 만족 ต้อง
        前提 假设 전제 가정을 逐步 步骤
    """,
    "brief": """
        简单 简短 一句话 一个词 短い 簡単 一言 一文 간단 짧은 한 문장 한마디 สั้น
    """,
    "depth": """
        详细 严格 深入 全面 完整 詳しく 詳細 厳密 徹底 자세 엄밀 상세 심층 ละเอียด
    """,
    "puzzle": """
        谜语 逻辑 推理 なぞなぞ 論理 수수께끼 논리 추리
    """,
    "everyday": """
        天气 生日 晚饭 朋友 邮件 今天 猫 狗 天気 誕生日 夕食 友達 メール 今日 犬 날씨 생일 저녁 친구 이메일 오늘
        고양이 강아지
    """,
    "refer": """
        这个 那个 再来 上面 刚才 それ これ もう一 さっき 그거 이거 다시 위의
    """,
    "data": """
        数据 统计 回归 データ 統計 回帰 데이터 통계 회귀
    """,
    "roleplay": """
        假设你 扮演 想象 になりきって 想像 가정 역할
    """,
}
"""Scripts without spaces, and Korean."""


@cache
def concept_names() -> tuple[str, ...]:
    """The concepts in the order of their columns."""
    return tuple(CONCEPTS)


@cache
def word_concepts() -> tuple[dict[str, int], dict[str, int]]:
    """(word -> concept, five-letter stem -> concept). The first concept that claims a word keeps it."""
    words: dict[str, int] = {}
    stems: dict[str, int] = {}
    for column, entries in enumerate(CONCEPTS.values()):
        for entry in entries.split():
            if entry.endswith("*"):
                stems.setdefault(entry[:5], column)
            else:
                words.setdefault(entry, column)
    return words, stems


@cache
def substring_concepts() -> dict[str, int]:
    """Substring -> concept."""
    columns = {name: column for column, name in enumerate(CONCEPTS)}
    return {entry: columns[name] for name, entries in SUBSTRINGS.items() for entry in entries.split()}


@cache
def substrings_by_first() -> dict[str, tuple[tuple[str, int], ...]]:
    """First character -> the (substring, concept) of at most five characters that begin with it, in the order in which
    they are to be tried: two characters say more than one, and are commoner than more."""
    by_first: dict[str, list[tuple[str, int]]] = {}
    for length in (2, 1, 3, 4, 5):
        for entry, concept in substring_concepts().items():
            if len(entry) == length:
                by_first.setdefault(entry[0], []).append((entry, concept))
    return {first: tuple(entries) for first, entries in by_first.items()}
