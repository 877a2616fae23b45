/*
 * A libnvidia-ml.so.1 for tests: three GPUs that answer plausibly, unless told
 * otherwise. It is compiled once and linked in many ways: a linker script hides
 * the functions that an old driver's library does not have. How it answers is
 * told by the environment, so that one build serves all:
 *
 *   NVML_GPUS    how many GPUs there are; 3 unless set
 *   NVML_RETURN  what functions return instead of answering, for example
 *                "nvmlDeviceGetPowerUsage=999,*@1=15": FUNCTION[@GPU]=CODE, with *
 *                for every function that is asked of a device; a CODE of "hang" does
 *                not return
 *   NVML_ODD     odd answers, separated by commas; see the uses of odd() below
 *
 * It declares what it needs of NVML's interface itself.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API int /* begins a line that the tests read the functions' names from */

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10 };
enum { MOST = 16, MIG_INSTANCES = 2 };

typedef unsigned int u32;
typedef unsigned long long u64;

typedef struct { int gpu, instance; } device; /* instance: 0 is the whole GPU */
typedef struct { u32 gpu, memory; } utilization;
typedef struct { u64 total, free, used; } memory;
typedef struct { u32 version; u64 total, reserved, free, used; } memory_v2;
typedef struct { u32 pid; u64 used; } process_v1;
typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } process;
typedef struct { u32 pid; u64 at; u32 sm, memory, encoder, decoder; } process_util;
typedef struct { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; } pci;
typedef struct { u32 version; u32 sensor; int celsius; } temperature;
typedef struct { u32 version; int celsius; } margin;
typedef struct { u64 reference, violation; } violation;
typedef struct { u32 field, scope; long long at, latency; u32 type; int ret; union { double d; u32 u; u64 l; } value; } field;
typedef struct { device *d; u64 type, data; u32 gpu_instance, compute_instance; } event;
typedef struct { u32 id, p2p, slices, most, sms, copy, decoders, encoders, jpeg, ofa; u64 memory_mb; } profile_v1;
typedef struct { u32 version, id, slices, most, sms, copy, decoders, encoders, jpeg, ofa; u64 memory_mb; char name[96]; u32 capabilities; } profile_v3;
typedef struct { u32 sms, copy, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices; u64 memory_mb; } attributes;
typedef struct { u32 id; int ret; double value; char *words[3]; } metric;
typedef struct { u32 version, count; void *from, *to; metric metrics[333]; } metrics;
typedef struct { u32 version, supported; } gpm_support;
typedef struct { u32 version, fan, speed; } fan_info;

static device devices[MOST][1 + MIG_INSTANCES];

/* listed tells whether a word is in a list that commas separate. */
static int listed(const char *list, const char *word) {
	size_t n = strlen(word);
	for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, word, n) && (p[n] == 0 || p[n] == ','))
			return 1;
	return 0;
}

static int odd(const char *what) { return listed(getenv("NVML_ODD"), what); }

static int gpus(void) {
	const char *n = getenv("NVML_GPUS");
	return n ? atoi(n) : 3;
}

/* told is what NVML_RETURN says of a function, or -1. */
static int told(const char *function, const device *d) {
	const char *p = getenv("NVML_RETURN");
	while (p && *p) {
		char name[128] = "", code[16] = "";
		int gpu = -1;
		if (sscanf(p, "%127[^@=]@%d=%15[^,]", name, &gpu, code) != 3) {
			gpu = -1;
			sscanf(p, "%127[^@=]=%15[^,]", name, code);
		}
		int all = d && !strcmp(name, "*") && strncmp(function, "nvmlDeviceGetHandle", 19);
		if ((all || !strcmp(name, function)) && (gpu < 0 || (d && d->gpu == gpu))) {
			if (!strcmp(code, "hang"))
				for (;;)
					pause();
			return atoi(code);
		}
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	return -1;
}

#define ANSWER(d)                        \
	do {                                 \
		int code = told(__func__, (d)); \
		if (code >= 0)                   \
			return code;                 \
	} while (0)

#define WHOLE(d) /* an instance of a GPU tells its memory and name only */ \
	do {                                                                   \
		ANSWER(d);                                                         \
		if ((d)->instance)                                                 \
			return NOT_SUPPORTED;                                          \
	} while (0)

#define ABSURD(ordinary) (odd("absurd") ? 4294967295u : (ordinary))

/* ---- the library itself ---- */

static int init(const char *function) {
	for (int i = 0; i < MOST; i++)
		for (int j = 0; j <= MIG_INSTANCES; j++)
			devices[i][j] = (device){i, j};
	int code = told(function, NULL);
	return code >= 0 ? code : SUCCESS;
}

static int text(char *to, u32 size, const char *from) {
	if (size <= strlen(from))
		return INSUFFICIENT_SIZE;
	strcpy(to, from);
	return SUCCESS;
}

API nvmlInit(void) { return init(__func__); }
API nvmlInit_v2(void) { return init(__func__); }
API nvmlInitWithFlags(u32 flags) { return flags ? INVALID : init(__func__); }
API nvmlShutdown(void) { ANSWER(NULL); return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error"; }
API nvmlSystemGetDriverVersion(char *s, u32 n) { ANSWER(NULL); return text(s, n, "535.183.01"); }
API nvmlSystemGetNVMLVersion(char *s, u32 n) { ANSWER(NULL); return text(s, n, "12.535.183.01"); }
API nvmlSystemGetCudaDriverVersion(int *v) { ANSWER(NULL); *v = 12020; return SUCCESS; }
API nvmlSystemGetCudaDriverVersion_v2(int *v) { ANSWER(NULL); *v = 12020; return SUCCESS; }
API nvmlSystemGetProcessName(u32 pid, char *s, u32 n) { ANSWER(NULL); (void)pid; return text(s, n, "python3"); }

static int count(u32 *n) { *n = gpus(); return SUCCESS; }

static int handle(u32 i, device **d) {
	if ((int)i >= gpus() || i >= MOST)
		return INVALID;
	*d = &devices[i][0];
	return SUCCESS;
}

API nvmlDeviceGetCount(u32 *n) { ANSWER(NULL); return count(n); }
API nvmlDeviceGetCount_v2(u32 *n) { ANSWER(NULL); return count(n); }
API nvmlDeviceGetHandleByIndex(u32 i, device **d) { ANSWER(&devices[i % MOST][0]); return handle(i, d); }
API nvmlDeviceGetHandleByIndex_v2(u32 i, device **d) { ANSWER(&devices[i % MOST][0]); return handle(i, d); }

/* ---- what a device is ---- */

API nvmlDeviceGetUUID(device *d, char *s, u32 n) {
	ANSWER(d);
	char id[64];
	snprintf(id, sizeof id, "%s-00000000-0000-0000-000%d-00000000000%d", d->instance ? "MIG" : "GPU", d->instance, odd("uuid-same") ? 0 : d->gpu);
	if (odd("uuid-empty"))
		id[0] = 0;
	return text(s, n, id);
}

API nvmlDeviceGetHandleByUUID(const char *uuid, device **d) {
	ANSWER(NULL);
	char id[64];
	for (int i = 0; i < gpus() && i < MOST; i++)
		if (nvmlDeviceGetUUID(&devices[i][0], id, sizeof id) == SUCCESS && !strcmp(id, uuid)) {
			*d = &devices[i][0];
			return SUCCESS;
		}
	return NOT_FOUND;
}

API nvmlDeviceGetName(device *d, char *s, u32 n) {
	ANSWER(d);
	if (odd("name-endless")) {
		memset(s, 'A', n);
		return SUCCESS;
	}
	if (odd("name-empty"))
		return text(s, n, "");
	if (odd("name-binary"))
		return text(s, n, "\xff\xfe GPU \x1b[31m\r\n");
	return text(s, n, d->instance ? "NVIDIA Test GPU MIG 3g.40gb" : "NVIDIA Test GPU");
}

API nvmlDeviceGetSerial(device *d, char *s, u32 n) { WHOLE(d); return text(s, n, "1650123456789"); }
API nvmlDeviceGetVbiosVersion(device *d, char *s, u32 n) { WHOLE(d); return text(s, n, "96.00.74.00.01"); }
API nvmlDeviceGetMinorNumber(device *d, u32 *v) { WHOLE(d); *v = d->gpu; return SUCCESS; }

static int bus(device *d, pci *p, int whole) {
	memset(p, 0, whole ? sizeof *p : offsetof(pci, bus_id));
	p->bus = 0x1b + d->gpu;
	p->id = 0x233010de;
	snprintf(p->legacy, sizeof p->legacy, "0000:%02X:00.0", p->bus);
	if (whole)
		snprintf(p->bus_id, sizeof p->bus_id, "00000000:%02X:00.0", p->bus);
	return SUCCESS;
}

API nvmlDeviceGetPciInfo(device *d, pci *p) { WHOLE(d); return bus(d, p, 0); }
API nvmlDeviceGetPciInfo_v2(device *d, pci *p) { WHOLE(d); return bus(d, p, 0); }
API nvmlDeviceGetPciInfo_v3(device *d, pci *p) { WHOLE(d); return bus(d, p, 1); }
API nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) { WHOLE(d); *major = 9; *minor = 0; return SUCCESS; }
API nvmlDeviceGetArchitecture(device *d, u32 *v) { WHOLE(d); *v = 9; return SUCCESS; }
API nvmlDeviceGetComputeMode(device *d, u32 *v) { WHOLE(d); *v = ABSURD(0); return SUCCESS; }
API nvmlDeviceGetPersistenceMode(device *d, u32 *v) { WHOLE(d); *v = 1; return SUCCESS; }
API nvmlDeviceGetAttributes(device *d, attributes *a) { ANSWER(d); memset(a, 0, sizeof *a); a->gpu_slices = 3; a->memory_mb = 40960; return SUCCESS; }
API nvmlDeviceGetAttributes_v2(device *d, attributes *a) { ANSWER(d); memset(a, 0, sizeof *a); a->gpu_slices = 3; a->memory_mb = 40960; return SUCCESS; }

/* ---- what changes ---- */

static const u64 GiB = 1ull << 30;

static u64 total(device *d) { return (d->instance ? 40 : 80) * GiB; }
static u64 used(device *d) { return odd("absurd") ? ~0ull : (1 + d->gpu) * GiB; }

API nvmlDeviceGetMemoryInfo(device *d, memory *m) { ANSWER(d); *m = (memory){total(d), total(d) - used(d), used(d)}; return SUCCESS; }
API nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *m) {
	ANSWER(d);
	*m = (memory_v2){m->version, total(d), GiB / 2, total(d) - used(d) - GiB / 2, used(d)};
	return SUCCESS;
}
API nvmlDeviceGetBAR1MemoryInfo(device *d, memory *m) { WHOLE(d); *m = (memory){128 * GiB, 127 * GiB, GiB}; return SUCCESS; }
API nvmlDeviceGetUtilizationRates(device *d, utilization *u) { WHOLE(d); *u = (utilization){odd("absurd") ? 255 : 40u + d->gpu, odd("absurd") ? 255 : 7}; return SUCCESS; }

static int busy(device *d, u32 *v, u32 *period) { *v = ABSURD((u32)d->gpu); *period = 100000; return SUCCESS; }

API nvmlDeviceGetEncoderUtilization(device *d, u32 *v, u32 *period) { WHOLE(d); return busy(d, v, period); }
API nvmlDeviceGetDecoderUtilization(device *d, u32 *v, u32 *period) { WHOLE(d); return busy(d, v, period); }
API nvmlDeviceGetJpgUtilization(device *d, u32 *v, u32 *period) { WHOLE(d); return busy(d, v, period); }
API nvmlDeviceGetOfaUtilization(device *d, u32 *v, u32 *period) { WHOLE(d); return busy(d, v, period); }
API nvmlDeviceGetPowerUsage(device *d, u32 *mw) { WHOLE(d); *mw = ABSURD(300000u + d->gpu); return SUCCESS; }
API nvmlDeviceGetEnforcedPowerLimit(device *d, u32 *mw) { WHOLE(d); *mw = ABSURD(700000); return SUCCESS; }
API nvmlDeviceGetPowerManagementLimit(device *d, u32 *mw) { WHOLE(d); *mw = ABSURD(700000); return SUCCESS; }
API nvmlDeviceGetPowerManagementDefaultLimit(device *d, u32 *mw) { WHOLE(d); *mw = ABSURD(700000); return SUCCESS; }
API nvmlDeviceGetPowerManagementLimitConstraints(device *d, u32 *low, u32 *high) { WHOLE(d); *low = 200000; *high = 700000; return SUCCESS; }
API nvmlDeviceGetTotalEnergyConsumption(device *d, u64 *mj) { WHOLE(d); *mj = odd("absurd") ? ~0ull : 123456789; return SUCCESS; }
API nvmlDeviceGetTemperature(device *d, u32 sensor, u32 *c) { WHOLE(d); if (sensor) return INVALID; *c = ABSURD(50u + d->gpu); return SUCCESS; }
API nvmlDeviceGetTemperatureV(device *d, temperature *t) { WHOLE(d); if (t->sensor) return INVALID; t->celsius = 50 + d->gpu; return SUCCESS; }
API nvmlDeviceGetTemperatureThreshold(device *d, u32 kind, u32 *c) {
	WHOLE(d);
	static const u32 celsius[] = {92, 87, 95, 85};
	if (kind >= sizeof celsius / sizeof *celsius)
		return NOT_SUPPORTED;
	*c = ABSURD(celsius[kind]);
	return SUCCESS;
}
API nvmlDeviceGetMarginTemperature(device *d, margin *m) { WHOLE(d); m->celsius = 37 - d->gpu; return SUCCESS; }
API nvmlDeviceGetClockInfo(device *d, u32 kind, u32 *mhz) { WHOLE(d); *mhz = ABSURD(kind == 2 ? 2619 : 1980); return SUCCESS; }
API nvmlDeviceGetMaxClockInfo(device *d, u32 kind, u32 *mhz) { WHOLE(d); *mhz = ABSURD(kind == 2 ? 2619 : 1980); return SUCCESS; }
API nvmlDeviceGetFanSpeed(device *d, u32 *percent) { WHOLE(d); *percent = ABSURD(30); return SUCCESS; }
API nvmlDeviceGetFanSpeed_v2(device *d, u32 fan, u32 *percent) { WHOLE(d); (void)fan; *percent = ABSURD(30); return SUCCESS; }
API nvmlDeviceGetFanSpeedRPM(device *d, fan_info *f) { WHOLE(d); f->speed = 1500; return SUCCESS; }
API nvmlDeviceGetNumFans(device *d, u32 *n) { WHOLE(d); *n = 1; return SUCCESS; }
API nvmlDeviceGetPerformanceState(device *d, u32 *p) { WHOLE(d); *p = odd("absurd") ? 77 : 0; return SUCCESS; }
API nvmlDeviceGetCurrentClocksEventReasons(device *d, u64 *bits) { WHOLE(d); *bits = odd("absurd") ? ~0ull : 4; return SUCCESS; }
API nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *bits) { WHOLE(d); *bits = odd("absurd") ? ~0ull : 4; return SUCCESS; }
API nvmlDeviceGetSupportedClocksEventReasons(device *d, u64 *bits) { WHOLE(d); *bits = 0x1ff; return SUCCESS; }
API nvmlDeviceGetSupportedClocksThrottleReasons(device *d, u64 *bits) { WHOLE(d); *bits = 0x1ff; return SUCCESS; }
API nvmlDeviceGetViolationStatus(device *d, u32 policy, violation *v) { WHOLE(d); *v = (violation){1000, policy}; return SUCCESS; }

/* ---- PCI Express and NVLink ---- */

API nvmlDeviceGetPcieThroughput(device *d, u32 counter, u32 *kb) { WHOLE(d); usleep(1000); *kb = ABSURD(1000 + counter); return SUCCESS; }
API nvmlDeviceGetCurrPcieLinkGeneration(device *d, u32 *v) { WHOLE(d); *v = ABSURD(5); return SUCCESS; }
API nvmlDeviceGetCurrPcieLinkWidth(device *d, u32 *v) { WHOLE(d); *v = ABSURD(16); return SUCCESS; }
API nvmlDeviceGetMaxPcieLinkGeneration(device *d, u32 *v) { WHOLE(d); *v = ABSURD(5); return SUCCESS; }
API nvmlDeviceGetMaxPcieLinkWidth(device *d, u32 *v) { WHOLE(d); *v = ABSURD(16); return SUCCESS; }
API nvmlDeviceGetPcieReplayCounter(device *d, u32 *v) { WHOLE(d); *v = ABSURD(3); return SUCCESS; }
API nvmlDeviceGetNvLinkState(device *d, u32 link, u32 *up) { WHOLE(d); if (link >= 2) return INVALID; *up = 1; return SUCCESS; }
API nvmlDeviceGetNvLinkVersion(device *d, u32 link, u32 *v) { WHOLE(d); if (link >= 2) return INVALID; *v = 4; return SUCCESS; }
API nvmlDeviceGetNvLinkErrorCounter(device *d, u32 link, u32 kind, u64 *n) { WHOLE(d); if (link >= 2 || kind > 4) return INVALID; *n = kind; return SUCCESS; }
API nvmlDeviceGetNvLinkRemotePciInfo(device *d, u32 link, pci *p) { WHOLE(d); if (link >= 2) return INVALID; return bus(d, p, 0); }
API nvmlDeviceGetNvLinkRemotePciInfo_v2(device *d, u32 link, pci *p) { WHOLE(d); if (link >= 2) return INVALID; return bus(d, p, 1); }

API nvmlDeviceGetFieldValues(device *d, int n, field *values) {
	WHOLE(d);
	for (int i = 0; i < n; i++) {
		field *f = &values[i];
		f->ret = SUCCESS;
		f->type = 1; /* an unsigned int */
		f->value.l = 0;
		switch (f->field) {
		case 82: f->value.u = ABSURD(60); break; /* memory temperature */
		case 91: f->value.u = odd("absurd") ? 250 : 2; break; /* NVLinks */
		case 84: case 85: case 90: f->value.u = 26562; break; /* their speed */
		case 138: case 139: f->type = 3; f->value.l = 1 << 20; break; /* KiB over NVLink */
		default: f->ret = NOT_SUPPORTED;
		}
		if (odd("field-types"))
			f->type = 99;
	}
	return SUCCESS;
}

/* ---- memory errors ---- */

API nvmlDeviceGetTotalEccErrors(device *d, u32 kind, u32 counter, u64 *n) { WHOLE(d); *n = kind == 0 ? 5 + counter : 0; return SUCCESS; }
API nvmlDeviceGetMemoryErrorCounter(device *d, u32 kind, u32 counter, u32 place, u64 *n) { WHOLE(d); (void)counter; (void)place; *n = kind == 0 ? 5 : 0; return SUCCESS; }
API nvmlDeviceGetEccMode(device *d, u32 *now, u32 *then) { WHOLE(d); *now = *then = 1; return SUCCESS; }
API nvmlDeviceGetRemappedRows(device *d, u32 *good, u32 *bad, u32 *pending, u32 *failed) { WHOLE(d); *good = 2; *bad = *pending = *failed = 0; return SUCCESS; }

static int pages(u32 *n, u64 *addresses, u64 *times) {
	u32 room = *n;
	*n = 2;
	if (room < 2)
		return INSUFFICIENT_SIZE;
	for (u32 i = 0; addresses && i < 2; i++) {
		addresses[i] = 4096 * i;
		if (times)
			times[i] = 1700000000;
	}
	return SUCCESS;
}

API nvmlDeviceGetRetiredPages(device *d, u32 cause, u32 *n, u64 *addresses) { WHOLE(d); (void)cause; return pages(n, addresses, NULL); }
API nvmlDeviceGetRetiredPages_v2(device *d, u32 cause, u32 *n, u64 *addresses, u64 *times) { WHOLE(d); (void)cause; return pages(n, addresses, times); }
API nvmlDeviceGetRetiredPagesPendingStatus(device *d, u32 *v) { WHOLE(d); *v = 0; return SUCCESS; }

/* ---- processes: GPU 0 has three ---- */

/* crowd says how many processes there are now, and what to answer of that. */
static int crowd(device *d, u32 *n, u32 *there) {
	static int asked;
	u32 room = *n;
	*n = *there = d->gpu == 0 ? 3 : 0;
	if (odd("processes-more") && d->gpu == 0 && asked++ < 4)
		*n = room + 1; /* another one each time one looks */
	else if (odd("processes-beyond")) {
		*n = 1000; /* more than there is room for, and yet success */
		*there = 0;
		return SUCCESS;
	} else if (odd("processes-zero")) {
		*n = 0; /* more than there is room for, and yet none */
		return INSUFFICIENT_SIZE;
	}
	return *n > room ? INSUFFICIENT_SIZE : SUCCESS;
}

static u32 pid(u32 i) { return i == 0 ? (u32)getpid() : 4294967295u - i; }

#define PROCESSES(d, n, list)                                    \
	do {                                                         \
		ANSWER(d);                                               \
		u32 there;                                               \
		int code = crowd((d), (n), &there);                      \
		for (u32 i = 0; code == SUCCESS && i < there; i++) {     \
			memset(&(list)[i], 0, sizeof (list)[i]);             \
			(list)[i].pid = pid(i);                              \
			(list)[i].used = i == 2 ? ~0ull : (i + 1) * GiB / 4; \
		}                                                        \
		return code;                                             \
	} while (0)

API nvmlDeviceGetComputeRunningProcesses(device *d, u32 *n, process_v1 *list) { PROCESSES(d, n, list); }
API nvmlDeviceGetComputeRunningProcesses_v2(device *d, u32 *n, process *list) { PROCESSES(d, n, list); }
API nvmlDeviceGetComputeRunningProcesses_v3(device *d, u32 *n, process *list) { PROCESSES(d, n, list); }
API nvmlDeviceGetGraphicsRunningProcesses(device *d, u32 *n, process_v1 *list) { ANSWER(d); (void)list; *n = 0; return SUCCESS; }
API nvmlDeviceGetGraphicsRunningProcesses_v2(device *d, u32 *n, process *list) { ANSWER(d); (void)list; *n = 0; return SUCCESS; }
API nvmlDeviceGetGraphicsRunningProcesses_v3(device *d, u32 *n, process *list) { ANSWER(d); (void)list; *n = 0; return SUCCESS; }

API nvmlDeviceGetProcessUtilization(device *d, process_util *list, u32 *n, u64 since) {
	WHOLE(d);
	u32 there, room = list ? *n : 0;
	int code = crowd(d, n, &there);
	if (!list)
		return *n ? INSUFFICIENT_SIZE : NOT_FOUND;
	for (u32 i = 0; code == SUCCESS && i < there && i < room; i++)
		list[i] = (process_util){pid(i), since + 1000000, 10 * i, i, 0, 0};
	return code;
}

/* ---- MIG: GPU 0 is cut when told so ---- */

API nvmlDeviceGetMigMode(device *d, u32 *now, u32 *then) { WHOLE(d); *now = *then = odd("mig") && d->gpu == 0; return SUCCESS; }
API nvmlDeviceGetMaxMigDeviceCount(device *d, u32 *n) { WHOLE(d); *n = 7; return SUCCESS; }
API nvmlDeviceGetMigDeviceHandleByIndex(device *d, u32 i, device **instance) {
	WHOLE(d);
	if (!odd("mig") || d->gpu != 0 || i >= MIG_INSTANCES)
		return NOT_FOUND;
	*instance = &devices[d->gpu][1 + i];
	return SUCCESS;
}
API nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device *instance, device **d) { ANSWER(instance); *d = &devices[instance->gpu][0]; return SUCCESS; }
API nvmlDeviceIsMigDeviceHandle(device *d, u32 *is) { ANSWER(d); *is = d->instance != 0; return SUCCESS; }
API nvmlDeviceGetGpuInstanceId(device *d, u32 *id) { ANSWER(d); *id = d->instance; return d->instance ? SUCCESS : NOT_SUPPORTED; }
API nvmlDeviceGetComputeInstanceId(device *d, u32 *id) { ANSWER(d); *id = 0; return d->instance ? SUCCESS : NOT_SUPPORTED; }
API nvmlDeviceGetGpuInstanceProfileInfo(device *d, u32 which, profile_v1 *p) {
	WHOLE(d);
	if (which > 2)
		return NOT_SUPPORTED;
	*p = (profile_v1){.id = which, .slices = which + 1, .most = 7 / (which + 1), .memory_mb = 10240 * (which + 1)};
	return SUCCESS;
}
API nvmlDeviceGetGpuInstanceProfileInfoV(device *d, u32 which, profile_v3 *p) {
	WHOLE(d);
	if (which > 2)
		return NOT_SUPPORTED;
	if (p->version >> 24 != 3)
		return 25; /* another version of the structure */
	*p = (profile_v3){.version = p->version, .id = which, .slices = which + 1, .most = 7 / (which + 1), .memory_mb = 10240 * (which + 1)};
	snprintf(p->name, sizeof p->name, "MIG %ug.%ugb", which + 1, 10 * (which + 1));
	return SUCCESS;
}
API nvmlDeviceGetGpuInstanceRemainingCapacity(device *d, u32 id, u32 *n) { WHOLE(d); (void)id; *n = 0; return SUCCESS; }

/* ---- events ---- */

static int set;

static int waited(event *e, u32 ms) {
	static int reported;
	if (odd("xid") && !reported++) {
		*e = (event){&devices[0][0], 8, 79, 4294967295u, 4294967295u};
		return SUCCESS;
	}
	usleep(1000 * (ms < 20 ? ms : 20)); /* sooner than told: so a test is over sooner */
	return TIMEOUT;
}

API nvmlDeviceGetSupportedEventTypes(device *d, u64 *types) { WHOLE(d); *types = 0x1fff; return SUCCESS; }
API nvmlDeviceRegisterEvents(device *d, u64 types, void *s) { WHOLE(d); (void)types; (void)s; return SUCCESS; }
API nvmlEventSetCreate(void **s) { ANSWER(NULL); *s = &set; return SUCCESS; }
API nvmlEventSetWait(void *s, event *e, u32 ms) { ANSWER(NULL); (void)s; return waited(e, ms); }
API nvmlEventSetWait_v2(void *s, event *e, u32 ms) { ANSWER(NULL); (void)s; return waited(e, ms); }
API nvmlEventSetFree(void *s) { ANSWER(NULL); (void)s; return SUCCESS; }

/* ---- the GPU performance monitor ---- */

API nvmlGpmQueryDeviceSupport(device *d, gpm_support *s) { WHOLE(d); s->supported = 1; return SUCCESS; }
API nvmlGpmSampleAlloc(void **s) { ANSWER(NULL); *s = malloc(1); return SUCCESS; }
API nvmlGpmSampleFree(void *s) { ANSWER(NULL); free(s); return SUCCESS; }
API nvmlGpmSampleGet(device *d, void *s) { WHOLE(d); (void)s; return SUCCESS; }
API nvmlGpmMigSampleGet(device *d, u32 instance, void *s) { WHOLE(d); (void)instance; (void)s; return SUCCESS; }
API nvmlGpmMetricsGet(metrics *m) {
	ANSWER(NULL);
	for (u32 i = 0; i < m->count; i++) {
		m->metrics[i].ret = SUCCESS;
		m->metrics[i].value = odd("absurd") ? -1e300 : 12.5;
	}
	return SUCCESS;
}
