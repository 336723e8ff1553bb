//! Enumerations whose members have a code that is stored or sent.

/// Makes an enumeration: a code and a fact for each member. It has `ALL`, `code()`, `parse()`, and privately `fact()`, for what
/// its module tells of a member.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident: $fact_type:ty; $($(#[$about:meta])* $variant:ident = $code:literal, $fact:expr;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$about])* $variant,)*
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Its code; once written it never changes its meaning.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $($name::$variant => $code,)*
                }
            }

            /// The one of a code; `None` for one that a later version wrote.
            #[must_use]
            pub fn parse(code: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.code() == code)
            }

            const fn fact(self) -> $fact_type {
                match self {
                    $($name::$variant => $fact,)*
                }
            }
        }
    };
}

pub(crate) use coded;

#[cfg(test)]
mod tests {
    coded! {
        /// What a light says.
        Light: u8;

        Stop = "stop", 1;
        Go = "go", 2;
    }

    #[test]
    fn a_code_leads_back_to_its_member() {
        for light in Light::ALL {
            assert_eq!(Light::parse(light.code()), Some(*light));
        }
        assert_eq!((Light::parse("wait"), Light::Stop.fact(), Light::Go.fact()), (None, 1, 2));
    }
}
