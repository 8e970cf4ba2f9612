"""Compares the plans of `twinopt run` with the optimum of the same problem (docs/plans.md).

Every plant has known equations, so that the only differences between the controller and the optimum are the horizon of
the plans, the forecasts and the planner. The optimum has perfect foresight over the whole run and is computed by
HiGHS (scipy.optimize.milp), or by dynamic programming on a fine grid for the heat pump. The rolling optimum is made of
exact plans with perfect forecasts and the same horizon as those of the controller, one per step, and therefore shows
what the planner itself loses.

usage: plans.py TWINOPT [NAME ...] [--work FOLDER]
"""

import argparse
import json
import resource
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

START = np.datetime64("2024-03-04T00:00:00", "ms")


class Optimum:
    """A mixed-integer linear program that is built variable by variable."""

    def __init__(self):
        self.cost, self.low, self.high, self.integer, self.rows = [], [], [], [], []
        self.constant = 0.0

    def var(self, low=0.0, high=np.inf, cost=0.0, integer=False):
        self.cost.append(cost)
        self.low.append(low)
        self.high.append(high)
        self.integer.append(int(integer))
        return len(self.cost) - 1

    def row(self, terms, low, high):
        self.rows.append((terms, low, high))

    def equal(self, terms, value):
        self.row(terms, value, value)

    def solve(self):
        a = lil_matrix((len(self.rows), len(self.cost)))
        for i, (terms, _, _) in enumerate(self.rows):
            for j, v in terms:
                a[i, j] += v
        limits = LinearConstraint(a.tocsr(), [r[1] for r in self.rows], [r[2] for r in self.rows])
        result = milp(self.cost, constraints=limits, integrality=self.integer, bounds=Bounds(self.low, self.high),
                      options={"mip_rel_gap": 1e-4, "time_limit": 60})
        assert result.x is not None, result.message
        self.solution = result.x
        return result.fun + self.constant


def times(n, minutes):
    return START + np.arange(n) * np.timedelta64(minutes * 60_000, "ms")


def prices(rng, n, per_day):
    """Day-ahead prices: two peaks a day, and a level that changes from day to day."""
    hour = np.arange(n) % per_day * 24 / per_day
    shape = 60 + 35 * np.exp(-((hour - 8) / 2) ** 2) + 50 * np.exp(-((hour - 19) / 2.5) ** 2) - 25 * np.exp(-((hour - 13.5) / 2.5) ** 2)
    days = 1 + 0.15 * rng.standard_normal(n // per_day + 1)
    return shape * np.repeat(days, per_day)[:n] + 3 * rng.standard_normal(n)


class Case:
    """A plant with its log, its scenario and the function that computes the optimum."""

    # `short`: number of steps by which the run is shorter than `days`.
    short, minutes, days, warm, mpc = 0, 60, 7, 14, ""

    def __init__(self, seed=1):
        self.rng = np.random.default_rng(seed)
        self.per_day = 24 * 60 // self.minutes
        self.n = (self.warm + self.days + 14 if self.minutes == 1440 else self.warm + self.days + 2) * self.per_day
        self.first = self.warm * self.per_day
        self.steps = self.days * self.per_day - self.short
        self.hours = self.minutes / 60
        self.columns = self.log()

    def model(self):
        return "[model]\nchoose = ['linear']\nlags = 1\nholdout = '3d'\nhorizon = '24h'\n"

    def run(self, twinopt, work, forecast, extra=""):
        root = work / self.name
        (root / "data/p/log").mkdir(parents=True, exist_ok=True)
        (root / "scenarios/p").mkdir(parents=True, exist_ok=True)
        table = {"time": pa.array(times(self.n, self.minutes), pa.timestamp("ms", "UTC"))}
        table |= {k: pa.array(v) for k, v in self.columns.items()}
        pq.write_table(pa.table(table), root / "data/p/log/log.parquet")
        head = f"name = 'p'\nstep = '{self.minutes}min'\nlog = {{ files = 'log/*.parquet', time = 'time' }}\n"
        (root / "data/p/twin.toml").write_text(head + self.twin + self.model() + self.kpi)
        start = str(times(self.n, self.minutes)[self.first].astype("datetime64[s]")) + "Z"
        (root / "scenarios/p/s.toml").write_text(
            f"question = '?'\ntwin = 'p'\nstart = {start}\nlength = '{self.steps * self.minutes}min'\nparticles = 1\n"
            f"[case.baseline]\n{self.baseline}\n[case.mpc]\n"
            f"controller.mpc = {{ particles = 1, within_log = false{self.mpc}{forecast}{extra} }}\n")
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        p = subprocess.run([twinopt, "run", "scenarios/p", "--quiet"], cwd=root, capture_output=True, text=True)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        assert p.returncode in (0, 3), p.stdout + p.stderr
        results = json.loads((root / "reports/p/results.json").read_text())
        cases = {c["name"]: c for c in results["scenarios"][0]["cases"]}
        runs = pq.read_table(root / "reports/p/runs.parquet").to_pydict()
        rows = [(c, s, v) for c, s, v in zip(runs["case"], runs["signal"], runs["p50"])]
        controls = lambda name: {u: np.array([v for c, s, v in rows if c == name and s == u]) for u in self.controls}
        return self.replay(controls("mpc")), self.replay(controls("baseline")), cases["mpc"], took

    def replay(self, controls):
        """The cost of the controls, corrected for what is left at the end, and the largest violation of a limit."""
        x, cost, beyond = self.start(self.state), 0.0, 0.0
        low, high = self.limits
        for k in range(self.steps):
            u = [controls[name][k] for name in self.controls]
            last = [controls[name][k - 1] if k else self.columns[name][self.first - 1] for name in self.controls]
            cost += self.stage(x, u, last, k)
            x = self.next(x, u, k)
            beyond = max(beyond, low - x, x - high)
        return cost - self.end_value() * (x - self.start(self.state)), beyond

    def rolling(self):
        """The cost of exact plans with perfect forecasts and the horizon of the controller; None if not computed."""
        return None

    def window(self, name):
        return self.columns[name][self.first:self.first + self.steps]

    def start(self, name):
        return self.columns[name][self.first]


class Battery(Case):
    """10 kWh, 3 kW, 95 % efficiency each way, beside PV and a load; feed-in pays 8 ct/kWh less than the price."""

    name = "battery"
    twin = """signals = [
  { name = 'energy', role = 'state', unit = 'kWh', hard = [0, 10], next = 'energy + (0.95 * charge - discharge / 0.95) * dt' },
  { name = 'charge', role = 'control', unit = 'kW', hard = [0, 3] },
  { name = 'discharge', role = 'control', unit = 'kW', hard = [0, 3] },
  { name = 'load', role = 'disturbance', unit = 'kW', forecast = { seasonal = '1d' } },
  { name = 'pv', role = 'disturbance', unit = 'kW', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
  { name = 'grid', role = 'derived', unit = 'kW', expr = 'load - pv + charge - discharge' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * grid + 80[EUR/MWh] * max(grid, 0[kW])' }
[objective]
cost = 1.0
"""
    baseline = "controller.hold = { charge = 0, discharge = 0 }"

    def log(self):
        t = np.arange(self.n)
        hour = t % 24
        load = 1 + 0.8 * np.exp(-((hour - 19) / 3) ** 2) + 0.2 * self.rng.random(self.n)
        sun = np.repeat(0.3 + 0.7 * self.rng.random(self.n // 24 + 1), 24)[:self.n]
        pv = np.maximum(0, 4 * np.sin((hour - 6) / 12 * np.pi)) * sun
        energy, charge, discharge = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        energy[0] = 5
        for k in range(self.n - 1):
            u = self.rng.uniform(-3, 3)
            charge[k] = np.clip(u, 0, (10 - energy[k]) / 0.95)
            discharge[k] = np.clip(-u, 0, energy[k] * 0.95)
            energy[k + 1] = energy[k] + 0.95 * charge[k] - discharge[k] / 0.95
        return dict(energy=energy, charge=charge, discharge=discharge, load=load, pv=pv, price=prices(self.rng, self.n, 24))

    def end_value(self):
        return np.mean(self.window("price") + 80) / 1e3

    state, limits, controls = "energy", (0, 10), ["charge", "discharge"]

    def next(self, x, u, k):
        return x + 0.95 * u[0] - u[1] / 0.95

    def stage(self, x, u, last, k):
        grid = self.window("load")[k] - self.window("pv")[k] + u[0] - u[1]
        return (self.window("price")[k] * grid + 80 * max(grid, 0)) / 1e3

    def optimum(self):
        m, e = Optimum(), None
        for k in range(self.steps):
            p, net = self.window("price")[k] / 1e3, (self.window("load") - self.window("pv"))[k]
            c, d = m.var(0, 3, p), m.var(0, 3, -p)
            m.constant += p * net
            buy = m.var(0, np.inf, 0.08)
            m.row([(buy, 1), (c, -1), (d, 1)], net, np.inf)
            now = m.var(0, 10, -self.end_value() if k + 1 == self.steps else 0)
            before = [(e, -1)] if e is not None else []
            m.equal([(now, 1), (c, -0.95), (d, 1 / 0.95)] + before, self.start("energy") if e is None else 0)
            e = now
        m.constant += self.end_value() * self.start("energy")
        return m.solve()


class Tank(Case):
    """Hot-water tank of 2 m³ with a heat pump: losses to the room, draws in the morning and evening, 45 to 60 °C."""

    name, minutes = "tank", 30
    twin = """signals = [
  { name = 'temp', role = 'state', unit = 'degC', hard = [45, 60], next = 'temp + (heat - draw - 0.02 * (temp - 20[degC]) / 1[K] * 1[kW]) * dt / 2.32[kWh/K]' },
  { name = 'heat', role = 'control', unit = 'kW', hard = [0, 8] },
  { name = 'draw', role = 'disturbance', unit = 'kW', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * heat / 3.2' }
[objective]
cost = 1.0
"""
    baseline = "controller.pid = [{ control = 'heat', measurement = 'temp', setpoint = 50, kp = 4, ti = '2h' }]"

    def log(self):
        hour = np.arange(self.n) % self.per_day * self.hours
        draw = 1 + 4 * np.exp(-((hour - 7) / 1.2) ** 2) + 3 * np.exp(-((hour - 20) / 1.5) ** 2)
        draw *= 0.8 + 0.4 * self.rng.random(self.n)
        temp, heat = np.zeros(self.n), np.zeros(self.n)
        temp[0] = 52
        for k in range(self.n - 1):
            heat[k] = np.clip(2 + 1.5 * (52 - temp[k]) + self.rng.normal(0, 1.5), 0, 8)
            temp[k + 1] = temp[k] + (heat[k] - draw[k] - 0.02 * (temp[k] - 20)) * self.hours / 2.32
        return dict(temp=temp, heat=heat, draw=draw, price=prices(self.rng, self.n, self.per_day))

    def end_value(self):
        return np.mean(self.window("price")) / 1e3 / 3.2 * 2.32

    state, limits, controls = "temp", (45, 60), ["heat"]

    def next(self, x, u, k):
        return x + (u[0] - self.window("draw")[k] - 0.02 * (x - 20)) * self.hours / 2.32

    def stage(self, x, u, last, k):
        return self.window("price")[k] / 1e3 * u[0] / 3.2 * self.hours

    def optimum(self):
        m, x, h = Optimum(), None, self.hours / 2.32
        for k in range(self.steps):
            u = m.var(0, 8, self.window("price")[k] / 1e3 / 3.2 * self.hours)
            now = m.var(45, 60, -self.end_value() if k + 1 == self.steps else 0)
            keep, push = 1 - 0.02 * h, h * (0.4 - self.window("draw")[k])
            m.equal([(now, 1), (u, -h)] + ([(x, -keep)] if x is not None else []),
                    push + (keep * self.start("temp") if x is None else 0))
            x = now
        m.constant += self.end_value() * self.start("temp")
        return m.solve()


class ColdStore(Case):
    """Cold store with a variable-speed compressor whose efficiency depends on the weather, −24 to −18 °C."""

    name = "cold_store"
    twin = """signals = [
  { name = 'temp', role = 'state', unit = 'degC', hard = [-24, -18], next = 'temp + (0.8[kW/K] * (outdoor - temp) + goods - cooling) * dt / 60[kWh/K]' },
  { name = 'cooling', role = 'control', unit = 'kW', hard = [0, 120] },
  { name = 'outdoor', role = 'disturbance', unit = 'degC', forecast = { seasonal = '1d' } },
  { name = 'goods', role = 'disturbance', unit = 'kW', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
  { name = 'cop', role = 'derived', expr = '3.2 - 0.04 * (outdoor - 10[degC]) / 1[K]' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * cooling / cop' }
[objective]
cost = 1.0
"""
    baseline = "controller.pid = [{ control = 'cooling', measurement = 'temp', setpoint = -20, kp = -40, ti = '6h' }]"

    def log(self):
        t = np.arange(self.n)
        outdoor = 14 + 6 * np.sin((t % 24 - 9) / 24 * 2 * np.pi) + np.repeat(3 * self.rng.standard_normal(self.n // 24 + 1), 24)[:self.n]
        goods = np.where((t % 24 >= 6) & (t % 24 < 18), 25 + 10 * self.rng.random(self.n), 3.0)
        temp, cooling = np.zeros(self.n), np.zeros(self.n)
        temp[0] = -20
        for k in range(self.n - 1):
            cooling[k] = np.clip(45 + 25 * (temp[k] + 20.5) + self.rng.normal(0, 12), 0, 120)
            temp[k + 1] = temp[k] + (0.8 * (outdoor[k] - temp[k]) + goods[k] - cooling[k]) / 60
        return dict(temp=temp, cooling=cooling, outdoor=outdoor, goods=goods, price=prices(self.rng, self.n, 24))

    def per_unit(self):
        return self.window("price") / 1e3 / (3.2 - 0.04 * (self.window("outdoor") - 10))

    def end_value(self):
        return -np.mean(self.per_unit()) * 60

    state, limits, controls = "temp", (-24, -18), ["cooling"]

    def next(self, x, u, k):
        return x + (0.8 * (self.window("outdoor")[k] - x) + self.window("goods")[k] - u[0]) / 60

    def stage(self, x, u, last, k):
        return self.per_unit()[k] * u[0]

    def optimum(self):
        m, x = Optimum(), None
        for k in range(self.steps):
            u = m.var(0, 120, self.per_unit()[k])
            now = m.var(-24, -18, -self.end_value() if k + 1 == self.steps else 0)
            keep, push = 1 - 0.8 / 60, (0.8 * self.window("outdoor")[k] + self.window("goods")[k]) / 60
            m.equal([(now, 1), (u, 1 / 60)] + ([(x, -keep)] if x is not None else []),
                    push + (keep * self.start("temp") if x is None else 0))
            x = now
        m.constant += self.end_value() * self.start("temp")
        return m.solve()


class Reservoir(Case):
    """Pump with variable speed that fills a reservoir; the power grows faster than the flow."""

    name = "reservoir"
    twin = """signals = [
  { name = 'level', role = 'state', unit = 'm', hard = [1, 5], next = 'level + (flow - demand) * dt / 400[m^2]' },
  { name = 'flow', role = 'control', unit = 'm^3/h', hard = [0, 300] },
  { name = 'demand', role = 'disturbance', unit = 'm^3/h', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
  { name = 'power', role = 'derived', unit = 'kW', expr = '0.3[kWh/m^3] * flow + 0.001[kW*h^2/m^6] * flow^2' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * power' }
[objective]
cost = 1.0
"""
    baseline = "controller.pid = [{ control = 'flow', measurement = 'level', setpoint = 3, kp = 100, ti = '6h' }]"

    def log(self):
        hour = np.arange(self.n) % 24
        demand = 90 + 60 * np.exp(-((hour - 8) / 2.5) ** 2) + 70 * np.exp(-((hour - 19) / 3) ** 2)
        demand *= 0.9 + 0.2 * self.rng.random(self.n)
        level, flow = np.zeros(self.n), np.zeros(self.n)
        level[0] = 3
        for k in range(self.n - 1):
            flow[k] = np.clip(120 + 120 * (3 - level[k]) + self.rng.normal(0, 40), 0, 300)
            level[k + 1] = level[k] + (flow[k] - demand[k]) / 400
        return dict(level=level, flow=flow, demand=demand, price=prices(self.rng, self.n, 24))

    def end_value(self):
        return np.mean(self.window("price")) / 1e3 * (0.3 + 0.002 * 120) * 400

    state, limits, controls = "level", (1, 5), ["flow"]

    def next(self, x, u, k):
        return x + (u[0] - self.window("demand")[k]) / 400

    def stage(self, x, u, last, k):
        return self.window("price")[k] / 1e3 * (0.3 * u[0] + 0.001 * u[0] ** 2)

    def optimum(self):
        m, x = Optimum(), None
        for k in range(self.steps):
            p = self.window("price")[k] / 1e3
            u, square = m.var(0, 300, 0.3 * p), m.var(0, np.inf, 0.001 * p)
            for r in np.linspace(0, 300, 301):
                m.row([(square, 1), (u, -2 * r)], -r * r, np.inf)
            now = m.var(1, 5, -self.end_value() if k + 1 == self.steps else 0)
            m.equal([(now, 1), (u, -1 / 400)] + ([(x, -1)] if x is not None else []),
                    -self.window("demand")[k] / 400 + (self.start("level") if x is None else 0))
            x = now
        m.constant += self.end_value() * self.start("level")
        return m.solve()


class HeatPump(Case):
    """Heat pump that is on or off, at least 1 h on and 30 min off, and 0.10 EUR per start; room between 20 and 23 °C."""

    name, minutes, days = "heat_pump", 15, 7
    state, limits, controls = "temp", (20, 23), ["pump"]
    twin = """signals = [
  { name = 'temp', role = 'state', unit = 'degC', hard = [20, 23], next = 'temp + (6[kW] * pump - 0.15[kW/K] * (temp - outdoor)) * dt / 4[kWh/K]' },
  { name = 'pump', role = 'control', hard = [0, 1], min_on = 1, min_run = '1h', min_stop = '30min' },
  { name = 'outdoor', role = 'disturbance', unit = 'degC', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
  { name = 'started', role = 'derived', expr = 'max(pump - lag(pump, 1), 0)' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * 2[kW] * pump' }
starts = { sum = 'started' }
[objective]
cost = 1.0
starts = 0.1
"""
    baseline = "controller.rule = { pump = 'if(temp < 20.7, 1, if(temp > 22, 0, lag(pump, 1)))' }"

    def log(self):
        t = np.arange(self.n)
        outdoor = 3 + 4 * np.sin((t % 96 - 36) / 96 * 2 * np.pi) + np.repeat(2 * self.rng.standard_normal(self.n // 96 + 1), 96)[:self.n]
        temp, pump = np.zeros(self.n), np.zeros(self.n)
        temp[0], since = 21.5, 9
        for k in range(self.n - 1):
            last = pump[k - 1] if k else 0.0
            want = 1.0 if temp[k] < 20.8 + 0.4 * self.rng.random() else 0.0 if temp[k] > 21.8 else last
            pump[k] = last if since < 4 else want
            since = 1 if pump[k] != last else since + 1
            temp[k + 1] = temp[k] + (6 * pump[k] - 0.15 * (temp[k] - outdoor[k])) * 0.25 / 4
        return dict(temp=temp, pump=pump, outdoor=outdoor, price=prices(self.rng, self.n, 96))

    def end_value(self):
        return np.mean(self.window("price")) / 1e3 / 3 * 4

    def next(self, x, u, k):
        return x + (6 * u[0] - 0.15 * (x - self.window("outdoor")[k])) * 0.25 / 4

    def stage(self, x, u, last, k):
        return self.window("price")[k] / 1e3 * 2 * u[0] * 0.25 + 0.1 * np.maximum(u[0] - last[0], 0)

    # Modes of the pump: on for 1, 2, 3 or at least 4 steps, off for 1 or at least 2 steps. Each mode allows some values
    # of the pump, which lead to another mode.
    allowed = {0: [(1, 1)], 1: [(1, 2)], 2: [(1, 3)], 3: [(1, 3), (0, 4)], 4: [(0, 5)], 5: [(0, 5), (1, 0)]}

    def best(self, x, mode, k, values, grid):
        """The cheapest (cost, value, mode) at the temperatures `x` in step k, given the `values` of the next step."""
        options = []
        for u, after in self.allowed[mode]:
            y = self.next(x, [u], k)
            beyond = np.maximum(20 - y, 0) + np.maximum(y - 23, 0)
            cost = self.stage(x, [u], [float(mode < 4)], k) + np.interp(y, grid, values[after]) + 100 * beyond
            options.append((cost, u, after))
        return options

    def plan(self, first, steps, cells):
        """Values of all temperatures and modes before each step, by dynamic programming."""
        grid = np.linspace(19.5, 23.5, cells)
        values = [[-self.end_value() * grid] * 6]
        for k in range(first + steps - 1, first - 1, -1):
            costs = [[cost for cost, _, _ in self.best(grid, mode, k, values[-1], grid)] for mode in range(6)]
            values.append([np.min(c, axis=0) for c in costs])
        return values[::-1], grid

    def follow(self, horizon, cells):
        """The cost of a run in which exact plans over `horizon` steps are made in every step."""
        pump = self.columns["pump"]
        since = next(i for i in range(1, 99) if pump[self.first - 1 - i] != pump[self.first - 1])
        mode = min(since, 4) - 1 if pump[self.first - 1] else 3 + min(since, 2)
        x, used, values = self.start("temp"), [], None
        for k in range(self.steps):
            if values is None or horizon < self.steps:
                values, grid = self.plan(k, min(horizon, self.steps - k), cells)
                start = k
            _, u, mode = min(self.best(x, mode, k, values[k + 1 - start], grid))
            x = self.next(x, [u], k)
            used.append(float(u))
        cost, beyond = self.replay({"pump": np.array(used)})
        assert beyond < 1e-9
        return cost

    def optimum(self):
        return self.follow(self.steps, 4001)

    def rolling(self):
        return self.follow(96, 801)


class Charger(Case):
    """Car charger: 7 kW or off, at least 5 h of charging between 18:00 and 6:00, never between 17:00 and 20:00."""

    # The run ends when the last night begins, because plans do not know prices after the end of the run.
    name, short = "charger", 6
    state, limits, controls = "power", (-np.inf, np.inf), ["charger"]
    mpc = (", totals = [{ control = 'charger', at_least = 5, from = '18:00', to = '06:00' }, "
           "{ control = 'charger', at_most = 0, from = '17:00', to = '20:00' }]")
    twin = """signals = [
  { name = 'power', role = 'state', unit = 'kW', next = '7[kW] * charger' },
  { name = 'charger', role = 'control', hard = [0, 1], multiple = 1 },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * 7[kW] * charger' }
[objective]
cost = 1.0
"""
    baseline = "controller.schedule = { charger = [{ at = '20:00', value = 1 }, { at = '01:00', value = 0 }] }"

    def log(self):
        hour = np.arange(self.n) % 24
        charger = np.where((hour >= 20) | (hour < 1), 1.0, 0.0) * (self.rng.random(self.n) < 0.9)
        power = np.concatenate([[0.0], 7 * charger[:-1]])
        return dict(power=power, charger=charger, price=prices(self.rng, self.n, 24))

    def end_value(self):
        return 0.0

    def next(self, x, u, k):
        return 7 * u[0]

    def stage(self, x, u, last, k):
        return self.window("price")[k] / 1e3 * 7 * u[0]

    def optimum(self):
        m = Optimum()
        on = [m.var(0, 0 if 17 <= k % 24 < 20 else 1, self.window("price")[k] / 1e3 * 7, integer=True) for k in range(self.steps)]
        for day in range(-1, self.days - 1):
            night = [k for k in range(24 * day + 18, 24 * day + 30) if k >= 0]
            done = self.columns["charger"][self.first - 6:self.first].sum() if day < 0 else 0
            m.row([(on[k], 1) for k in night], 5 - done, np.inf)
        return m.solve()


class Chillers(Case):
    """Three chillers, each off or between its minimum and maximum, with a chilled-water store."""

    name, days = "chillers", 3
    state, limits, controls = "store", (0, 1500), ["a", "b", "c"]
    least, most, cop = np.array([200, 150, 80]), np.array([500, 400, 200]), np.array([5.6, 5.0, 4.4])
    twin = """signals = [
  { name = 'store', role = 'state', unit = 'kWh', hard = [0, 1500], next = 'store + (a + b + c - load) * dt' },
  { name = 'a', role = 'control', unit = 'kW', hard = [0, 500], min_on = 200, min_run = '2h', min_stop = '1h' },
  { name = 'b', role = 'control', unit = 'kW', hard = [0, 400], min_on = 150, min_run = '2h', min_stop = '1h' },
  { name = 'c', role = 'control', unit = 'kW', hard = [0, 200], min_on = 80 },
  { name = 'load', role = 'disturbance', unit = 'kW', forecast = { seasonal = '1d' } },
  { name = 'price', role = 'disturbance', unit = 'EUR/MWh', forecast = 'perfect' },
]
"""
    kpi = """[kpi]
cost = { integral = 'price * (a / 5.6 + b / 5.0 + c / 4.4)' }
[objective]
cost = 1.0
"""
    baseline = "controller.replay = {}"

    def log(self):
        hour = np.arange(self.n) % 24
        load = 250 + 380 * np.exp(-((hour - 14) / 4) ** 2) * (0.8 + 0.3 * self.rng.random(self.n)) + 20 * self.rng.random(self.n)
        store, u = np.zeros(self.n), np.zeros((self.n, 3))
        store[0] = 700
        for k in range(self.n - 1):
            need = np.clip(load[k] + 0.3 * (750 - store[k]) + self.rng.normal(0, 60), 0, 1100)
            for i in range(3):
                u[k, i] = min(need, self.most[i]) if need >= self.least[i] else 0.0
                need -= u[k, i]
            store[k + 1] = store[k] + u[k].sum() - load[k]
        return dict(store=store, a=u[:, 0], b=u[:, 1], c=u[:, 2], load=load, price=prices(self.rng, self.n, 24))

    def end_value(self):
        return np.mean(self.window("price")) / 1e3 / 5.2

    def next(self, x, u, k):
        return x + sum(u) - self.window("load")[k]

    def stage(self, x, u, last, k):
        return self.window("price")[k] / 1e3 * (np.array(u) / self.cop).sum()

    def optimum(self):
        m, x, on = Optimum(), None, [[], [], []]
        for k in range(self.steps):
            now = m.var(0, 1500, -self.end_value() if k + 1 == self.steps else 0)
            terms = [(now, 1)] + ([(x, -1)] if x is not None else [])
            for i in range(3):
                u = m.var(0, self.most[i], self.window("price")[k] / 1e3 / self.cop[i])
                b = m.var(0, 1, integer=True)
                m.row([(u, 1), (b, -self.least[i])], 0, np.inf)
                m.row([(u, 1), (b, -self.most[i])], -np.inf, 0)
                on[i].append(b)
                terms.append((u, -1))
            m.equal(terms, -self.window("load")[k] + (self.start("store") if x is None else 0))
            x = now
        for i, run in ((0, 2), (1, 2)):
            was = float(self.columns["abc"[i]][self.first - 1] > 0)
            for k in range(self.steps):
                before, constant = ([(on[i][k - 1], -1)], 0) if k else ([], was)
                for j in range(k + 1, min(k + run, self.steps)):
                    m.row([(on[i][k], 1), (on[i][j], -1)] + before, -np.inf, constant)
        m.constant += self.end_value() * self.start("store")
        return m.solve()


class Orders(Case):
    """A chain of ten stages with a lead time of two days, orders in packs of 5, and holding and backlog costs."""

    name, minutes, days, warm, links, lead = "orders", 1440, 30, 500, 10, 2
    controls = [f"o{i}" for i in range(links)]
    holding = [1.0 - 0.05 * i for i in range(links)]
    backlog = [9.0] + 9 * [4.0]
    twin = "signals = [\n  { name = 'demand', role = 'disturbance', forecast = { seasonal = '7d' } },\n" + "".join(
        f"  {{ name = 'inv{i}', role = 'state', next = 'inv{i} + lag(o{i}, 2) - {'demand' if i == 0 else f'o{i - 1}'}' }},\n"
        f"  {{ name = 'o{i}', role = 'control', hard = [0, 100], multiple = 5 }},\n" for i in range(links)) + "]\n"
    kpi = "[kpi]\nc = { sum = '" + " + ".join(
        f"{h:.2f} * max(inv{i}, 0) + {b} * max(-inv{i}, 0)" for i, (h, b) in enumerate(zip(holding, backlog))) + "' }\n[objective]\nc = 1.0\n"
    baseline = "controller.replay = {}"

    def model(self):
        return "[model]\nchoose = ['linear']\nlags = 1\nholdout = '30d'\nhorizon = '10d'\n"

    def log(self):
        demand = self.rng.poisson(20, self.n).astype(float)
        inventory, orders = np.zeros((self.links, self.n)), np.zeros((self.links, self.n))
        inventory[:, 0] = 40
        for k in range(self.n):
            leaving = demand[k]
            for i in range(self.links):
                coming = sum(orders[i, max(k - lag, 0)] for lag in (1, 2))
                orders[i, k] = np.clip(5 * round((90 - inventory[i, k] - coming + self.rng.normal(0, 4)) / 5), 0, 100)
                if k + 1 < self.n:
                    inventory[i, k + 1] = inventory[i, k] + orders[i, max(k - 2, 0)] - leaving
                leaving = orders[i, k]
        columns = {"demand": demand}
        return columns | {f"inv{i}": inventory[i] for i in range(self.links)} | {f"o{i}": orders[i] for i in range(self.links)}

    def replay(self, controls):
        level, cost = np.array([self.start(f"inv{i}") for i in range(self.links)]), 0.0
        past = np.array([self.columns[f"o{i}"][self.first - 2:self.first] for i in range(self.links)])
        orders = np.hstack([past, np.array([controls[f"o{i}"] for i in range(self.links)])])
        for k in range(self.steps):
            cost += np.maximum(level, 0) @ self.holding + np.maximum(-level, 0) @ self.backlog
            leaving = np.concatenate([[self.window("demand")[k]], orders[:-1, k + 2]])
            level = level + orders[:, k] - leaving
        return cost, 0.0

    def plan(self, first, steps, level, past):
        """The cheapest orders in packs, `[links][steps]`, and their cost."""
        m, levels = Optimum(), [None] * self.links
        orders = [[m.var(0, 20, integer=True) for _ in range(steps)] for _ in range(self.links)]
        for k in range(steps):
            for i in range(self.links):
                over, under = m.var(0, np.inf, self.holding[i]), m.var(0, np.inf, self.backlog[i])
                if k == 0:
                    m.equal([(over, 1), (under, -1)], level[i])
                else:
                    last, terms, known = k - 1, [], 0.0
                    if last >= 2:
                        terms.append((orders[i][last - 2], -5))
                    else:
                        known += past[i][last]
                    if i:
                        terms.append((orders[i - 1][last], 5))
                    else:
                        known -= self.window("demand")[first + last]
                    before = levels[i]
                    m.equal([(over, 1), (under, -1), (before[0], -1), (before[1], 1)] + terms, known)
                levels[i] = (over, under)
        cost = m.solve()
        return np.array([[m.solution[v] for v in row] for row in orders]), cost

    def begin(self):
        return (np.array([self.start(f"inv{i}") for i in range(self.links)]),
                np.array([self.columns[f"o{i}"][self.first - 2:self.first] for i in range(self.links)]))

    def optimum(self):
        return self.plan(0, self.steps, *self.begin())[1]

    def rolling(self):
        (level, past), used = self.begin(), []
        for k in range(self.steps):
            orders = 5 * np.round(self.plan(k, min(33, self.steps - k), level, past)[0][:, 0])
            leaving = np.concatenate([[self.window("demand")[k]], orders[:-1]])
            level, past = level + past[:, 0] - leaving, np.hstack([past[:, 1:], orders[:, None]])
            used.append(orders)
        return self.replay({f"o{i}": row for i, row in enumerate(np.array(used).T)})[0]


SUITE = [Battery, Tank, ColdStore, Reservoir, HeatPump, Charger, Chillers, Orders]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("twinopt")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--work", default="target/plans")
    parser.add_argument("--extra", default="")
    args = parser.parse_args()
    work = Path(args.work)
    print("| plant | optimum | rolling optimum | above | baseline | MPC, perfect forecasts | above | MPC, seasonal forecasts | above | planner | CPU ms per step |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for kind in SUITE:
        if args.names and kind.name not in args.names:
            continue
        case = kind()
        best = case.optimum()
        twinopt = Path(args.twinopt).resolve()
        found, baseline, results, took = case.run(twinopt, work, ", forecast = 'perfect'", args.extra)
        real, _, _, _ = case.run(twinopt, work, "", args.extra)
        percent = lambda v: f"{100 * (v[0] / best - 1):.2f} %"
        planner = results["controller"].split("(")[1].split(")")[0]
        rolling = case.rolling()
        rolling = "| " if rolling is None else f"{rolling:.3f} | {percent([rolling])}"
        print(f"| {case.name} | {best:.3f} | {rolling} | {baseline[0]:.3f} | {found[0]:.3f} | {percent(found)} "
              f"| {real[0]:.3f} | {percent(real)} | {planner} | {1e3 * took / case.steps:.0f} |", flush=True)
        print("   ", f"beyond limits {found[1]:.2e} {real[1]:.2e}", *results.get("notes", []), flush=True)


if __name__ == "__main__":
    main()
