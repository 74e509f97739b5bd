//! System calls that neither a proxy nor an ordinary command makes. They fail with EPERM, by a seccomp filter.
//!
//! It is a list of what is denied. A list of what is allowed would break with the next version of a library, or with the next
//! command of the configuration. It would break at the first such call, which may come under load.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

use super::outcome::{IN_FORCE, Outcome};

/// What is denied on every architecture.
const DENIED: &[libc::c_long] = &[
    // Other processes: their memory, their descriptors, their state.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Parts of the kernel in which faults are found often.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The clock and the name of the machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// What is denied on this architecture besides.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] =
    &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib];
/// `kexec_file_load` has the same number on all newer architectures, and no name in `libc` for some of them.
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[294];

/// The bit of a number in the ABI x32, by which a kernel for x86-64 may offer the same calls a second time.
#[cfg(target_arch = "x86_64")]
const X32: libc::c_long = 0x4000_0000;
/// Those of the denied calls that have another number there: ptrace, kexec_load, process_vm_readv, process_vm_writev.
#[cfg(target_arch = "x86_64")]
const X32_NUMBERS: [libc::c_long; 4] = [521, 528, 539, 540];

/// Restricts the system calls of every thread.
pub(super) fn restrict() -> Outcome {
    let filter = filter().map_err(|error| format!("seccomp: {error}"))?;
    apply_filter_all_threads(&filter).map(|()| IN_FORCE).map_err(|error| format!("seccomp: {error}"))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    // A call without rules about its arguments matches whatever they are.
    let denied: BTreeMap<_, _> = numbers().map(|number| (number, Vec::new())).collect();
    let eperm = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(denied, SeccompAction::Allow, eperm, TargetArch::try_from(ARCH)?)?.try_into()
}

fn numbers() -> impl Iterator<Item = libc::c_long> {
    let denied = DENIED.iter().chain(DENIED_HERE).copied();
    #[cfg(target_arch = "x86_64")]
    let denied = {
        let x32 = denied.clone().chain(X32_NUMBERS).map(|number| number | X32);
        denied.chain(x32)
    };
    denied
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn filter_compiles_for_this_architecture() {
        let instructions = filter().unwrap().len();
        assert!((DENIED.len()..1000).contains(&instructions), "{instructions}");
    }

    #[test]
    fn no_call_is_denied_twice() {
        let mut all: Vec<_> = numbers().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
