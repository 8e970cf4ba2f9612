"""Finds the best trade-off between profit and immediately served demand for order-up-to policies in the supply chain.

    python chain_frontier.py --shared DIR [--seeds 101,102,...] [--steps 400]

Echelon base-stock levels are the optimal policy of a serial chain (Clark & Scarf 1960). In this script, the policy
knows the true mean demand of each day of the week and of the year, but not the days of promotions. The safety stocks
are optimised and evaluated on the same demand, so the result is an upper bound. The stocks are optimised once for each
value of the penalty per item that is not served immediately. Profit is reported relative to the profit of the plant's
own controller for the same demand. The equations are those of examples/serial_inventory/twin.toml. The first line of
the output compares them with the plant.
"""
import argparse, os, sys
import numpy as np
from scipy.optimize import differential_evolution

LEAD = 4  # lead time in days
COVER_DAYS = (5, 10, 11)  # days from an order of each stage to the sale of the ordered goods, including the order day


class Chain:
    """Simulates the chain for all seeds at once. Arrays have the shape `[seeds]`, orders in transit `[days][seeds]`."""

    def __init__(self, demand):
        n = len(demand)
        self.demand, self.hand, self.backlog = demand, [np.full(n, v) for v in (100.0, 100.0, 200.0)], np.zeros(n)
        self.way = [np.zeros((LEAD, n)), np.zeros((LEAD, n))]
        self.profit, self.late = np.zeros(n), np.zeros(n)

    def positions(self):
        first = self.hand[0] + self.way[0].sum(0) - self.backlog
        second = first + self.hand[1] + self.way[1].sum(0)
        return first, second, second + self.hand[2]

    def day(self, t, orders):
        wanted, (hand_1, hand_2, hand_3) = self.demand[:, t], self.hand
        ship = [np.minimum(orders[0], hand_2), np.minimum(orders[1], hand_3), orders[2]]
        receipt = [way[0] for way in self.way]
        sales = np.minimum(wanted + self.backlog, hand_1 + receipt[0])
        self.backlog = wanted + self.backlog - sales
        self.hand = [hand_1 + receipt[0] - sales, hand_2 + receipt[1] - ship[0], hand_3 + ship[2] - ship[1]]
        self.way = [np.vstack([way[1:], s]) for way, s in zip(self.way, ship)]
        cost = 0.5 * ship[2] + 0.01 * ship[1] + 0.1 * self.backlog
        cost += sum(c * stock for c, stock in zip((0.03, 0.02, 0.01), self.hand))
        cost += sum(c * way.sum(0) for c, way in zip((0.01, 0.005), self.way))
        self.profit += 2 * sales - cost
        self.late += np.minimum(wanted, self.backlog)

    def run(self, levels):
        for t in range(self.demand.shape[1]):
            self.day(t, [np.clip(np.round(levels[j][t] - p), 0, 100) for j, p in enumerate(self.positions())])
        return self.profit.mean() / self.demand.shape[1], 1 - (self.late / self.demand.sum(1)).mean()


def levels(x, steps):
    """Order-up-to level of each stage: a multiple of its mean demand over the cover plus a multiple of the square root."""
    t = np.arange(steps + max(COVER_DAYS))
    mean = 20 * (1 + 0.25 * np.sin(2 * np.pi * t / 7) + 0.2 * np.sin(2 * np.pi * t / 365)) * (1 + 0.02 * 0.8)
    total = np.concatenate([[0], np.cumsum(mean)])
    ahead = [total[days : days + steps] - total[:steps] for days in COVER_DAYS]
    return [a * m + z * np.sqrt(m) for (a, z), m in zip(x.reshape(3, 2), ahead)]


def own(make, seeds, steps):
    """Runs the plant under its own controller. Returns the demand, mean profit and fraction served for each seed, and
    the orders of the first seed."""
    demand, profit, served, orders = [], [], [], []
    for seed in seeds:
        plant = make("serial_inventory")
        obs, kpis = plant.reset(seed), []
        for _ in range(steps):
            u = plant.clip(plant.baseline(obs))
            if seed == seeds[0]:
                orders.append([u[c] for c in plant.ctl])
            obs, kpi = plant.step(u)
            kpis.append(kpi)
        demand.append([k["demand"] for k in kpis])
        profit.append(np.mean([k["profit"] for k in kpis]))
        served.append(1 - sum(min(k["demand"], k["backlog"]) for k in kpis) / sum(demand[-1]))
    return np.array(demand), profit, served, orders


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shared", required=True)
    p.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[101, 102, 103, 104, 105])
    p.add_argument("--steps", type=int, default=400)
    a = p.parse_args()
    sys.path.insert(0, os.path.join(a.shared, "plants"))
    from inventory import InventoryNetwork

    demand, profit, served, orders = own(InventoryNetwork, a.seeds, a.steps)
    same = Chain(demand[:1])
    for t, u in enumerate(orders):
        same.day(t, [np.full(1, v) for v in u])
    print(f"own controller: {np.mean(profit):.4f} a day, {np.mean(served):.2%} served at once; "
          f"profit of the first run: {same.profit[0] / a.steps:.4f} by the equations, {profit[0]:.4f} by the plant")
    print("| penalty per item not served at once | profit / own controller | served at once |\n|---|---|---|")
    for price in (0, 0.5, 1, 2, 5, 10, 30, 100):
        def loss(x):
            money, share = Chain(demand).run(levels(x, a.steps))
            return price * demand.mean() * (1 - share) - money
        best = differential_evolution(loss, [(0.8, 1.2), (0, 5)] * 3, maxiter=60, popsize=8, seed=1, polish=False)
        money, share = Chain(demand).run(levels(best.x, a.steps))
        print(f"| {price} USD | {money / np.mean(profit):.3f} | {share:.2%} |", flush=True)
