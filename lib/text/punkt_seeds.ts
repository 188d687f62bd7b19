/**
 * Short hand-made lists per language that Punkt starts from, so that it is useful before it has seen a corpus: what
 * statistics learn late (rare titles, months after an ordinal) stands here. Types are lower case, without the final
 * period. Own lists; other languages work from training alone.
 */

/** What is known about a language in advance. */
export type PunktSeeds = {
  /** Abbreviations that can also end a sentence. */
  readonly abbreviations: ReadonlySet<string>;
  /** Abbreviations that something always follows: no sentence ends after them. */
  readonly prefixes: ReadonlySet<string>;
  /** Abbreviations only before a number: "No. 5", "Nr. 7". */
  readonly beforeNumber: ReadonlySet<string>;
  /** Words that, capitalised, begin a sentence after an abbreviation. */
  readonly starters: ReadonlySet<string>;
  /** Words after which "3." is an ordinal. */
  readonly beforeOrdinal: ReadonlySet<string>;
  /** Words before which "3." is an ordinal. */
  readonly afterOrdinal: ReadonlySet<string>;
};

const EMPTY: PunktSeeds = seeds("", "", "", "", "", "");

const ENGLISH: PunktSeeds = seeds(
  `a.d a.m al apr assn ave b.a b.c b.s blvd bros co corp d.c dec dept e.u etc feb ft inc jan jr jul jun
   l.a ltd m.a mt n.y nov oct p.m ph.d sep sept sq sr u.k u.n u.s u.s.a u.s.s.r univ aug dist est misc`,
  `adm approx ca capt cf cmdr col cong dr e.g esq gen gov hon i.e lt maj messrs mr mrs ms msgr pres prof rep reps
   rev sen sens sgt supt viz vs`,
  `app art arts ch chap cl eq ex fig figs no nos p par pop pp pt q rule sec secs st tab vol vols`,
  `a after all although an and as at because before both but by despite during each every finally for from had he her
   here his how however i if in it its let many meanwhile moreover most my no nobody nor now of on once one our
   please she since so some still such that the their then there therefore these they this those though thus to today
   under until we what when where whether while who why with without yes yet you your`,
  "",
  "",
);

const GERMAN: PunktSeeds = seeds(
  `abb abs apr aug bd bsp chr co dez etc feb febr inkl jan jg jh jhd jhdt jr mio mrd mwst n.chr nov okt o.ä o.g sept sr
   str tel tsd u.a u.ä u.s.w usf usw v.chr v.u.z n.u.z dgl e.v e.g.o u.u z.t`,
  `a.d abt allg anm bes betr bspw bzgl bzw ca d.h d.i dipl dr dt ebd einschl engl entspr evtl exkl fa frz frl geb gegr gem gest
   ggf ggfs griech hl hr hrn hrsg i.a i.d.r i.h.v ing insb insbes jun kath kgl lat lt m.a.w m.e med o.b.d.a phil proff
   prof rd resp röm s.o s.u sen sog spez u.z usw.u v.a verh vgl vs z.b z.hd z.zt zit zw zzgl zzt`,
  `anl art bl buchst fig fn hft kap lfd nr nrn pos punkt rn rz s tab vol zeile ziff`,
  `aber alle allerdings alles als am an auch auf aus bei beide bis da dabei dafür daher damit dann darauf daraus das dass
   davon dazu dem den denn der deren des deshalb die dies diese dieser dieses doch dort du durch ein eine einem einen
   einer eines er es für gegen hier ich ihr ihre im in ist jede jeder jedes jedoch kein keine man manche mit nach
   nachdem neben nicht noch nun nur ob obwohl oder ohne seit sein seine seit sie sind so solche später trotzdem über
   um und unter viele vom von vor wann war warum was weil wenn wer wie wir wird wo während zu zum zur zwischen`,
  `ab am beim bis das dem den der des die dieser diesem diesen ein eine einem einen einer ihr ihre im jeden jeder
   mein meine nach sein seine seinem seinen seinerseits seit vom von vor zum zur unser unsere`,
  `januar jänner februar märz april mai juni juli august september oktober november dezember jahrhundert jahrhunderts
   jahrhunderte jahrtausend jh jhd jhdt auflage aufl klasse stock etage geburtstag weltkrieg weltkriegs weltkrieges
   platz mal kapitel wahlperiode legislaturperiode jan feb apr jun jul aug sept okt nov dez`,
);

/** The lists of a language (`"en"`, `"de-AT"`); empty ones where there are none. */
export function punktSeeds(language: string): PunktSeeds {
  const base = language.toLowerCase().split(/[-_]/)[0];
  return base === "en" ? ENGLISH : base === "de" ? GERMAN : EMPTY;
}

function seeds(...lists: [string, string, string, string, string, string]): PunktSeeds {
  const set = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter((word) => word !== ""));
  const [abbreviations, prefixes, beforeNumber, starters, beforeOrdinal, afterOrdinal] = lists;
  return {
    abbreviations: set(abbreviations),
    prefixes: set(prefixes),
    beforeNumber: set(beforeNumber),
    starters: set(starters),
    beforeOrdinal: set(beforeOrdinal),
    afterOrdinal: set(afterOrdinal),
  };
}
