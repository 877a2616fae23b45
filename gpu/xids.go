package gpu

// Advice that more than one Xid has.
const (
	doNothing  = "nothing now; contact the vendor if it comes back"
	doRestart  = "restart the job; contact the vendor if it comes back"
	doDebug    = "restart the job; check it with compute-sanitizer if it comes back"
	doReset    = "drain the GPU and reset it; if it comes back, contact the vendor"
	doSoftware = "nothing now; update the driver, or report it with nvidia-bug-report.sh, if it comes back"
	doFollow   = "follow the Xid that came with it"
	doDecode   = "read the driver's message: reset the GPU when it says fatal, else nothing now"
	doContact  = "contact the vendor"

	copyEngine = "An engine that copies memory faulted."
	decoder    = "A video decoder faulted."
	jpegUnit   = "A JPEG decoder faulted."
	linkUnit   = "A part of the NVLink hardware reported an error; what it means is in the registers of the driver's message."
)

// catalogue holds the Xids by number, and is never written to. What is in it
// follows NVIDIA's public documents:
//
//   - Immediate and Later: "Analyzing Xid Errors with the Xid Catalog",
//     docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, which is for
//     Ampere and newer GPUs. It lists other numbers as unused; those are left out,
//     but for a few that older GPUs still report, which have no Immediate.
//   - Fault: what that page says of the conditions, and for older numbers the
//     table of causes in "Xid Errors", docs.nvidia.com/deploy/xid-errors.
//   - Action: Immediate, in our words. Where that names a workflow it is the
//     workflow's first step: 48 and 74 reset; 45 and 154 follow another Xid.
//   - Verdict: what is to be reset or restarted at once is a failure, what may
//     wait is degraded, what is the application's own is watched or ignored.
//     An NVLink that is down degrades: the GPU works on without it.
var catalogue = [...]Xid{
	{8, "GPU stopped processing", "The work of a process did not end in time.", FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{11, "invalid command stream", "The commands that the GPU was given were invalid or damaged.", FaultDriver, ActionRestart, doDebug, VerdictWatch, false, "RESTART_APP", "CHECK_APP/CUDA"},
	{13, "graphics engine exception", "A kernel of the application faulted, often by an access out of bounds.", FaultApplication, ActionRestart, doDebug, VerdictWatch, false, "RESTART_APP", "WORKFLOW_XID_13"},
	{14, "injected error", "Somebody injected an error to test what happens.", FaultApplication, ActionNone, "nothing", VerdictOK, false, "IGNORE", "CONTACT_SUPPORT"},
	{25, "illegal command stream", "The commands that the GPU was given were illegal or damaged.", FaultApplication, ActionRestart, doDebug, VerdictWatch, false, "RESTART_APP", "CHECK_APP/CUDA"},
	{31, "GPU memory page fault", "The application touched memory that it does not own.", FaultApplication, ActionRestart, doDebug, VerdictWatch, false, "RESTART_APP", "WORKFLOW_XID_31"},
	{32, "corrupted push buffer", "The stream of commands over PCI Express arrived damaged.", FaultLink, ActionRestart, "restart the job; if it comes back, check the PCI Express link", VerdictWatch, false, "RESTART_APP", "CHECK_APP/CUDA"},
	{37, "unknown firmware method", "The firmware that schedules the engines was asked for something that it does not know.", FaultDriver, ActionNone, doSoftware, VerdictWatch, false, "IGNORE", "CHECK_APP/CUDA"},
	{38, "driver firmware error", "The firmware that schedules the engines ran into its watchdog.", FaultDriver, ActionNone, "update the driver; contact the vendor if it comes back", VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{39, "copy engine 0 exception", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{40, "copy engine 1 exception", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{41, "copy engine 2 exception", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{43, "GPU stopped processing", "The application made a fault and ends; the GPU stays healthy.", FaultApplication, ActionNone, "look at the application", VerdictOK, false, "IGNORE", "CONTACT_SUPPORT"},
	{44, "fault during context switch", "The graphics engine faulted while it changed from one process to the next.", FaultDriver, ActionNone, "contact the vendor if it comes back", VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{45, "preemptive cleanup", "The driver cleaned up after a process that ended or was killed.", FaultApplication, ActionFollow, "nothing, unless another Xid came with it", VerdictOK, false, "WORKFLOW_XID_45", "WORKFLOW_XID_45"},
	{46, "GPU stopped processing", "The GPU did not answer in time.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{48, "double-bit ECC error", "Memory of the GPU lost data beyond repair.", FaultHardware, ActionReset, "drain the GPU and reset it; run the field diagnostics if it comes back", VerdictFailed, true, "WORKFLOW_XID_48", "WORKFLOW_XID_48"},
	{54, "auxiliary power not connected", "The board lacks one of its power cables.", FaultHardware, ActionInspect, "drain the node; check the power cables of the GPU", VerdictDegraded, true, "CHECK_MECHANICALS", "CONTACT_SUPPORT"},
	{57, "memory interface not programmed", "The link between the GPU and its memory could not be trained (before Ampere).", FaultHardware, ActionContact, doContact, VerdictWatch, false, "", "CONTACT_SUPPORT"},
	{58, "unstable memory interface", "The link between the GPU and its memory is not stable (before Ampere).", FaultHardware, ActionContact, doContact, VerdictWatch, false, "", "CONTACT_SUPPORT"},
	{59, "internal micro-controller error", "The power controller reported an error (older drivers).", FaultDriver, ActionContact, "update the driver; contact the vendor if it comes back", VerdictWatch, false, "", "CONTACT_SUPPORT"},
	{60, "video processor exception", "The video processor faulted.", FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "INVESTIGATE_SW"},
	{61, "internal micro-controller warning", "The power controller stopped at a breakpoint (older drivers).", FaultDriver, ActionContact, "update the driver; contact the vendor if it comes back", VerdictWatch, false, "", "CONTACT_SUPPORT"},
	{62, "internal micro-controller halt", "The power controller halted.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{63, "row remapped or page retired", "The GPU replaced a bad part of its memory; the next reset makes it effective.", FaultHardware, ActionNone, "reset the GPU when it is free", VerdictWatch, false, "IGNORE", "IGNORE"},
	{64, "row remapping failed", "The GPU could not replace a bad part of its memory.", FaultHardware, ActionReset, "drain the GPU and reset it; replace it if it comes back", VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{66, "illegal access by the driver", "The driver or an application touched a register that it may not.", FaultDriver, ActionNone, doSoftware, VerdictWatch, false, "IGNORE", "INVESTIGATE_SW"},
	{67, "illegal access by the driver", "The driver or an application broke a rule that the firmware checks.", FaultDriver, ActionNone, doNothing, VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{68, "video decoder 0 exception", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{69, "graphics engine class error", "The application sent the engine a command that it does not know.", FaultApplication, ActionRestart, doDebug, VerdictWatch, false, "RESTART_APP", "CHECK_APP/CUDA"},
	{70, "copy engine 3 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{71, "copy engine 4 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{72, "copy engine 5 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{74, "NVLink error", "A link to another GPU or a switch failed; the other end may be the cause.", FaultLink, ActionReset, "drain the GPU and reset it; see nvidia-smi nvlink --errorcounters", VerdictDegraded, true, "WORKFLOW_NVLINK_ERR", "CONTACT_SUPPORT"},
	{75, "copy engine 6 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{76, "copy engine 7 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{77, "copy engine 8 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{78, "vGPU did not start", "Guest and host driver, or the kind of vGPU and the GPU, do not fit each other.", FaultDriver, ActionUpdate, "update the drivers of host and guest", VerdictWatch, false, "UPDATE_SWFW", "UPDATE_SWFW"},
	{79, "GPU has fallen off the bus", "The driver cannot reach the GPU over PCI Express.", FaultLink, ActionReboot, "drain and restart the node; check seating, power and the PCI Express log", VerdictFailed, true, "RESTART_BM", "CONTACT_SUPPORT"},
	{80, "corrupted data sent to the GPU", "A check sum over the commands sent to the GPU did not match.", FaultLink, ActionRestart, "restart the job; if it comes back, check the PCI Express link", VerdictWatch, false, "RESTART_APP", "CHECK_APP/CUDA"},
	{82, "JPEG decoder 0 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{83, "video decoder 1 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{84, "video decoder 2 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{85, "copy engine 9 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{86, "optical flow unit 0 exception", "The optical flow accelerator faulted.", FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{88, "video decoder 3 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{89, "video decoder 4 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{92, "high single-bit ECC error rate", "Memory errors are being corrected, but too many of them.", FaultHardware, ActionNone, "plan a check of the GPU with the vendor", VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{93, "infoROM may not be written", "A limit on writes to the infoROM, set on purpose with nvflash, was reached.", FaultDriver, ActionNone, "nothing now; lift the limit with nvflash --elsessionclear", VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{94, "contained memory error", "An uncorrectable memory error ended one application and no other.", FaultHardware, ActionRestart, "restart the job; reset the GPU when it is free", VerdictDegraded, true, "RESTART_APP", "IGNORE"},
	{95, "uncontained memory error", "An uncorrectable memory error may have reached several applications.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "IGNORE"},
	{96, "video decoder 5 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{97, "video decoder 6 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{98, "video decoder 7 error", decoder, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{99, "JPEG decoder 1 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{100, "JPEG decoder 2 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{101, "JPEG decoder 3 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{102, "JPEG decoder 4 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{103, "JPEG decoder 5 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{104, "JPEG decoder 6 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{105, "JPEG decoder 7 error", jpegUnit, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{106, "test message", "The management controller sent a message to test the way.", FaultDriver, ActionNone, "nothing", VerdictOK, false, "IGNORE", "IGNORE"},
	{107, "silent test message", "The management controller sent a message to test the way.", FaultDriver, ActionNone, "nothing", VerdictOK, false, "IGNORE", "IGNORE"},
	{108, "NVLink remote translation error", "Another GPU could not translate an address that this one asked for.", FaultApplication, ActionNone, "look at the application with compute-sanitizer", VerdictWatch, false, "IGNORE", "XID_137_FLOW"},
	{109, "context switch timeout", "The GPU did not change to the next process in time.", FaultDriver, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{110, "security fault", "The GPU raised a security fault; rare without failing hardware.", FaultHardware, ActionReset, "drain the GPU and reset it; if it comes back, switch the node off and on, then contact the vendor", VerdictFailed, true, "RESET_GPU", "INVESTIGATE_SW"},
	{119, "GSP RPC timeout", "The GPU's system processor did not answer the driver.", FaultDriver, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "INVESTIGATE_SW"},
	{120, "GSP error", "The GPU's system processor failed.", FaultDriver, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "INVESTIGATE_SW"},
	{121, "corrected errors on the link to the CPU", "Errors between GPU and Grace CPU were corrected; work is not touched.", FaultLink, ActionNone, "reset the GPU when it is free", VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{126, "copy engine 10 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{127, "copy engine 11 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{128, "copy engine 12 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{129, "copy engine 13 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{130, "copy engine 14 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{131, "copy engine 15 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{132, "copy engine 16 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{133, "copy engine 17 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{134, "copy engine 18 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{135, "copy engine 19 error", copyEngine, FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{136, "link training failed", "An NVLink could not be brought up.", FaultLink, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "INVESTIGATE_LINK_SI"},
	{137, "NVLink privilege error", "An application touched memory of another GPU that it does not own.", FaultApplication, ActionNone, "look at the application with compute-sanitizer", VerdictWatch, false, "IGNORE", "XID_137_FLOW"},
	{139, "optical flow unit 1 error", "The optical flow accelerator faulted.", FaultDriver, ActionRestart, doRestart, VerdictWatch, false, "RESTART_APP", "CONTACT_SUPPORT"},
	{140, "unrecovered ECC error", "Uncorrectable memory errors came too fast to replace the memory.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{141, "CUDA fast path error", "The fast way in which CUDA gives the GPU work reported an error.", FaultDriver, ActionNone, doNothing, VerdictWatch, false, "IGNORE", "CONTACT_SUPPORT"},
	{142, "video encoder 3 error", "A video encoder faulted.", FaultDriver, ActionContact, "restart the job; contact the vendor", VerdictWatch, false, "CONTACT_SUPPORT", ""},
	{143, "GPU initialisation error", "The GPU could not be initialised.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{144, "NVLink SAW error", linkUnit, FaultLink, ActionReset, doDecode, VerdictDegraded, false, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{145, "NVLink RLW error", linkUnit, FaultLink, ActionReset, doDecode, VerdictDegraded, false, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{146, "NVLink TLW error", linkUnit, FaultLink, ActionReset, doDecode, VerdictDegraded, false, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{147, "NVLink TREX error", linkUnit, FaultLink, ActionContact, doNothing, VerdictWatch, false, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{148, "NVLink control error", linkUnit, FaultLink, ActionContact, doNothing, VerdictWatch, false, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{149, "NVLink down", "A link went down, or its bit errors rise; the registers of the driver's message tell which.", FaultLink, ActionReset, "drain the GPU and reset it; see nvidia-smi nvlink --errorcounters", VerdictDegraded, true, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{150, "NVLink firmware failed", "The firmware that runs the links stopped.", FaultDriver, ActionReset, doReset, VerdictFailed, true, "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR"},
	{151, "key rotation error", "In confidential computing, the keys for the traffic could not be changed.", FaultDriver, ActionReboot, "restart the virtual machine that has the GPU", VerdictDegraded, true, "RESTART_VM", "CONTACT_SUPPORT"},
	{154, "recovery action changed", "The driver says what another Xid needs: reset, drain or reboot.", FaultUnknown, ActionFollow, doFollow, VerdictWatch, false, "XID_154", ""},
	{155, "NVLink taken down by software", "A link was taken down on purpose, for example to sleep.", FaultDriver, ActionReset, "drain the GPU and reset it, unless somebody took the link down", VerdictDegraded, true, "RESET_GPU", "INVESTIGATE_SW_USER"},
	{156, "resource retired", "The GPU took a bad part of itself out of use; a reset makes it effective.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "IGNORE"},
	{157, "resource retirement failed", "The GPU has no spare left for a bad part of itself; work goes on, but may fail again.", FaultHardware, ActionNone, "plan a replacement with the vendor", VerdictDegraded, false, "IGNORE", "CONTACT_SUPPORT"},
	{158, "fatal GPU timeout", "The GPU did not answer in time and cannot go on.", FaultHardware, ActionReset, doReset, VerdictFailed, true, "RESET_GPU", "CONTACT_SUPPORT"},
	{159, "error on the link to the CPU", "A request over the link between GPU and CPU was answered with an error.", FaultLink, ActionReset, "drain the GPU and reset it where unified memory or vGPU is used, else nothing", VerdictDegraded, false, "CHECK_UVM", "SYMPATHETIC_REPORT_SOLO"},
	{160, "channel retired", "The GPU took a bad channel out of use.", FaultHardware, ActionNone, doSoftware, VerdictWatch, false, "IGNORE", "INVESTIGATE_SW"},
	{161, "channel retirement failed", "The GPU could not take a bad channel out of use.", FaultHardware, ActionNone, doSoftware, VerdictWatch, false, "IGNORE", "INVESTIGATE_SW"},
	{162, "power smoothing works again", "The hardware that smooths power swings is on again.", FaultHardware, ActionNone, "nothing", VerdictOK, false, "", ""},
	{163, "power smoothing switched off", "The hardware that smooths power swings switched itself off, by heat or a timeout.", FaultHardware, ActionNone, "nothing now; check the cooling if power smoothing is wanted", VerdictWatch, false, "", ""},
	{164, "power smoothing wears out", "The hardware that smooths power swings nears the end of its life.", FaultHardware, ActionInspect, "look whether the site bears the power swings; else plan a replacement", VerdictWatch, false, "", ""},
	{165, "power smoothing worn out", "The hardware that smooths power swings reached the end of its life and is off.", FaultHardware, ActionInspect, "look whether the site bears the power swings; else replace the GPU", VerdictWatch, false, "", ""},
	{166, "NVLink traffic before encryption", "In confidential computing, a link was used before it was set up.", FaultDriver, ActionContact, doContact, VerdictWatch, false, "", ""},
	{167, "fatal PCI Express timeout", "A transfer over PCI Express did not end in time.", FaultLink, ActionContact, "check the PCI Express log; contact the vendor", VerdictDegraded, false, "", ""},
	{168, "reduced memory capacity", "The memory that the driver keeps for itself has errors, and ECC is off.", FaultHardware, ActionReboot, "switch ECC on and restart the node", VerdictDegraded, true, "", ""},
	{169, "security processor halted", "The GPU's security processor halted.", FaultDriver, ActionContact, doContact, VerdictDegraded, false, "", ""},
	{170, "NVLink interrupt in confidential mode", "In confidential computing, a link raised an interrupt.", FaultDriver, ActionContact, doContact, VerdictWatch, false, "", ""},
	{171, "uncorrectable DRAM error", "Says of an Xid 48 that the memory beside the GPU failed.", FaultHardware, ActionFollow, doFollow, VerdictDegraded, true, "", ""},
	{172, "uncorrectable SRAM error", "Says of an Xid 48 that memory inside the GPU failed.", FaultHardware, ActionFollow, doFollow, VerdictDegraded, true, "", ""},
}
