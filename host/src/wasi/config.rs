//! `wasi:config/store`: the variables.

use super::bindings::wasi::config::store::{Error, Host};
use super::state::InstanceState;

impl Host for InstanceState {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.variables.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Ok(self.variables.iter().map(pair).collect())
    }
}
