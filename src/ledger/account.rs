//! The chart of accounts.

use uuid::Uuid;

use crate::base::ids::AccountId;

const fn house(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(0x00000000_0000_7000_8000_000000000000 | number))
}

/// Accounts of the house. Their ids are constants: migrations insert the same ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HouseAccount {
    Promotions,
    UsageRevenue,
    FeeRevenue,
    ByokFeeRevenue,
    OperatorLoss,
}

impl HouseAccount {
    pub const ALL: [HouseAccount; 5] = [
        HouseAccount::Promotions,
        HouseAccount::UsageRevenue,
        HouseAccount::FeeRevenue,
        HouseAccount::ByokFeeRevenue,
        HouseAccount::OperatorLoss,
    ];

    #[must_use]
    pub const fn id(self) -> AccountId {
        match self {
            HouseAccount::Promotions => house(1),
            HouseAccount::UsageRevenue => house(2),
            HouseAccount::FeeRevenue => house(3),
            HouseAccount::ByokFeeRevenue => house(4),
            HouseAccount::OperatorLoss => house(5),
        }
    }
}

/// The clearing account of a payment processor, or `None` for one that the books do not know.
#[must_use]
pub fn processor_account(name: &str) -> Option<AccountId> {
    match name {
        "sandbox" => Some(house(0x10)),
        "stripe" => Some(house(0x11)),
        "btcpay" => Some(house(0x12)),
        "coinbase" => Some(house(0x13)),
        _ => None,
    }
}
