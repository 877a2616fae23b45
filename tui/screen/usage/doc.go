// Package usage shows what jobs use of the GPUs that they hold: util, power,
// energy, GPU-hours and how much of them was work, by job and added up by
// namespace; below, the GPUs that are held without work, and those that somebody
// uses without holding them. Enter goes to the job or the GPU.
//
// Energy and hours are counted since this program watches: WATCHED says how long
// that is. "≈" before an energy says that it is power over time, where a GPU
// counts none, and "≥" that for a part of the time neither was known.
package usage
