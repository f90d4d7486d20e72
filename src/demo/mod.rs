//! The synthetic faces, their triggers, and the demo BadNet made of them.
