//! Tables of honest and hostile names.

use super::*;

#[test]
fn honest_usernames_of_many_scripts_are_taken() {
    let honest = [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("ALICE-42", "alice-42"),
        ("o.neill_3", "o.neill_3"),
        ("josé", "josé"),
        ("jose\u{301}", "josé"),
        ("Müller", "müller"),
        ("Łukasz", "łukasz"),
        ("ｗｉｄｅ", "wide"),
        ("алиса", "алиса"),
        ("Ольга", "ольга"),
        ("δημήτρης", "δημήτρης"),
        ("אברהם", "אברהם"),
        ("محمد", "محمد"),
        ("رضا", "رضا"),
        ("राम", "राम"),
        ("সুমন", "সুমন"),
        ("தமிழ்", "தமிழ்"),
        ("สมชาย", "สมชาย"),
        ("น\u{e49}\u{e33}ฝน", "น\u{e4d}\u{e49}\u{e32}ฝน"),
        ("ค\u{e33}", "ค\u{e4d}\u{e32}"),
        ("ນ\u{ec9}\u{eb3}", "ນ\u{ecd}\u{ec9}\u{eb2}"),
        ("王伟", "王伟"),
        ("山田太郎", "山田太郎"),
        ("さくら", "さくら"),
        ("김철수", "김철수"),
        ("Գոռ", "գոռ"),
        ("გიორგი", "გიორგი"),
        ("ሰላም", "ሰላም"),
    ];
    for (raw, spelled) in honest {
        match Username::parse(raw) {
            Ok(name) => assert_eq!(name.as_str(), spelled),
            Err(error) => panic!("{raw:?} was refused: {error}"),
        }
    }
}

#[test]
fn hostile_usernames_are_refused_with_the_reason() {
    let long = "x".repeat(USERNAME_CHARS_MAX + 1);
    let huge = "x".repeat(100_000);
    let hostile = [
        ("", NameError::Empty),
        ("   ", NameError::Empty),
        (long.as_str(), NameError::TooLong { max: USERNAME_CHARS_MAX }),
        (huge.as_str(), NameError::TooLong { max: USERNAME_CHARS_MAX }),
        ("two words", NameError::Character),
        ("a\nb", NameError::Character),
        ("a\0b", NameError::Character),
        ("\u{1b}[2Jx", NameError::Character),
        ("-rf", NameError::Start),
        (".hidden", NameError::Start),
        ("🎉party", NameError::Character),
        ("ali\u{200b}ce", NameError::Invisible),
        ("ali\u{202e}ce", NameError::Invisible),
        ("ali\u{feff}ce", NameError::Invisible),
        ("ali\u{e0041}ce", NameError::Invisible),
        ("\u{3164}", NameError::Invisible),
        ("pаypal", NameError::MixedScripts),
        ("αlice", NameError::MixedScripts),
        ("аlice", NameError::MixedScripts),
        ("a\u{489}b", NameError::Character),
        ("ｆｏｏ\u{3000}bar", NameError::Character),
        ("x\u{323}\u{324}\u{325}", NameError::Marks),
    ];
    for (raw, reason) in hostile {
        assert_eq!(Username::parse(raw), Err(reason), "{raw:?}");
    }
}

#[test]
fn look_alikes_have_one_skeleton() {
    for (one, other) in [
        ("alice", "a1ice"),
        ("bob", "b0b"),
        ("modem", "modern"),
        ("scope", "ѕсоре"),
        ("ohm", "оһт"),
    ] {
        let (one, other) = (Username::parse(one), Username::parse(other));
        let (Ok(one), Ok(other)) = (one, other) else { panic!("both are names of their own") };
        // The last pair differs in one letter: the skeleton must not make everything equal.
        let same = other.as_str() != "оһт";
        assert_eq!(one.skeleton() == other.skeleton(), same, "{one:?} {other:?}");
    }
}

#[test]
fn honest_nicknames_are_taken_and_cleaned() {
    let honest = [
        ("Alice", "Alice"),
        ("  Alice   Liddell ", "Alice Liddell"),
        ("Ольга Петрова", "Ольга Петрова"),
        ("محمد علی", "محمد علی"),
        ("王 小明", "王 小明"),
        ("O'Brien, 3rd (night shift)", "O'Brien, 3rd (night shift)"),
        ("Anna \u{2764}\u{fe0f}", "Anna \u{2764}"),
        ("zero\u{200b}width", "zerowidth"),
        ("soft\u{ad}hyphen", "softhyphen"),
        ("می\u{200c}خواهم", "میخواهم"),
        ("สมชาย ใจดี", "สมชาย ใจดี"),
        ("नमस्ते", "नमस्ते"),
        ("น\u{e49}\u{e33} ใส", "น\u{e4d}\u{e49}\u{e32} ใส"),
    ];
    for (raw, spelled) in honest {
        match Nickname::parse(raw) {
            Ok(name) => assert_eq!(name.as_str(), spelled),
            Err(error) => panic!("{raw:?} was refused: {error}"),
        }
    }
}

#[test]
fn hostile_nicknames_are_refused_with_the_reason() {
    let long = "n".repeat(NICKNAME_CHARS_MAX + 1);
    let zalgo = format!("z{}", "\u{334}".repeat(20));
    let ligature = "\u{fdfa}".repeat(10);
    let hostile = [
        ("", NameError::Empty),
        ("\u{200b}\u{200d}", NameError::Empty),
        (long.as_str(), NameError::TooLong { max: NICKNAME_CHARS_MAX }),
        (ligature.as_str(), NameError::TooLong { max: NICKNAME_CHARS_MAX }),
        ("a\u{202e}b", NameError::Invisible),
        ("a\u{2066}b\u{2069}", NameError::Invisible),
        ("a\u{200f}b", NameError::Invisible),
        ("flag\u{e0067}\u{e007f}", NameError::Invisible),
        ("\u{2800}", NameError::Invisible),
        ("line\nbreak", NameError::Character),
        ("tab\there", NameError::Character),
        ("bell\u{7}", NameError::Character),
        (zalgo.as_str(), NameError::Marks),
        ("\u{301}accent", NameError::Start),
    ];
    for (raw, reason) in hostile {
        assert_eq!(Nickname::parse(raw), Err(reason), "{raw:?}");
    }
}

#[test]
fn a_nickname_meets_a_username_by_case_and_by_shape() {
    let alice = Username::parse("alice").unwrap();
    for spoof in ["alice", "ALICE", "Alice", "AIice", "a1ice", "аliсе", "alic\u{435}"] {
        let nickname = Nickname::parse(spoof).unwrap();
        let meets = [nickname.folded(), nickname.shape()].contains(&alice.skeleton());
        assert!(meets, "{spoof:?} has {nickname:?}, alice has {:?}", alice.skeleton());
    }
    for other in ["Alicia", "Bob", "Al Ice", "Ольга"] {
        let nickname = Nickname::parse(other).unwrap();
        assert!(nickname.folded() != alice.skeleton() && nickname.shape() != alice.skeleton());
    }
}

#[test]
fn a_typed_name_is_the_same_name_everywhere() {
    for typed in [
        "bob",
        "Bob",
        "BOB ",
        " bob\t",
        "@bob",
        "@Bob",
        " @ bob",
        "＠bob",
        "ｂｏｂ",
        "ＢＯＢ\u{3000}",
    ] {
        assert_eq!(spelled(typed), "bob", "{typed:?}");
    }
    for typed in ["#news", " # News ", "ＮＥＷＳ", "news"] {
        assert_eq!(spelled_room(typed), "news", "{typed:?}");
    }
    for typed in ["", "@", "two words", "@@bob", "#bob", "bo\u{200b}b"] {
        assert_eq!(spelled(typed), typed, "nobody can be called so");
    }
    assert_eq!(searchable(" @Ｂo"), "bo");
    assert_eq!(searchable("#Ne"), "ne");
}
