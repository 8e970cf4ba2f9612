"""Writes the workbooks of the tests (`pip install openpyxl odfpy xlwt`)."""

import datetime as dt

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

START = dt.datetime(2024, 3, 30, 22)
TIMES = [START + dt.timedelta(minutes=30 * i) for i in range(48)]
VALUES = [18.5 + i % 7 / 10 for i in range(48)]

# two monthly sheets with the same header, a short sheet with remarks, and a hidden sheet
book = openpyxl.Workbook()
for name, rows in [("März", range(24)), ("April", range(24, 48))]:
    sheet = book.create_sheet(name)
    sheet.append(["Zeit", "Temp\n[°C]", "Pumpe", "Kommentar"])
    for i in rows:
        # a sum of binary fractions of a day is not exactly a full second
        sheet.append([TIMES[i] + dt.timedelta(microseconds=400 * i), VALUES[i], i % 2 == 0, 'Filter "A"' if i == 3 else None])
        sheet.cell(sheet.max_row, 1).number_format = "DD.MM.YYYY HH:MM"
info = book.create_sheet("Info")
info.append(["Anlage", "Halle 7"])
info.append(["Stand", "2024"])
hidden = book.create_sheet("Rohdaten")
hidden.sheet_state = "hidden"
for i in range(500):
    hidden.append([i, i])
del book["Sheet"]
book.save("months.xlsx")

# date and time of day in separate columns, and an error in a cell
book = openpyxl.Workbook()
sheet = book.active
sheet.append(["Station 12"])
sheet.append(["Datum", "Uhrzeit", "Druck"])
for time, value in zip(TIMES, VALUES):
    sheet.append([time.date(), time.time(), value])
sheet["C5"] = "#N/A"
other = book.create_sheet("Durchfluss")
other.append(["Datum", "Durchfluss"])
for time, value in zip(TIMES, VALUES):
    other.append([time, value])
book.save("two_tables.xlsx")

old = xlwt.Workbook()
sheet = old.add_sheet("Log")
style = xlwt.easyxf(num_format_str="YYYY-MM-DD HH:MM:SS")
for column, name in enumerate(["time", "level"]):
    sheet.write(0, column, name)
for row, (time, value) in enumerate(zip(TIMES, VALUES), start=1):
    sheet.write(row, 0, time, style)
    sheet.write(row, 1, value)
old.save("old.xls")

doc = OpenDocumentSpreadsheet()
table = Table(name="Log")
row = TableRow()
for name in ["time", "level"]:
    cell = TableCell(valuetype="string")
    cell.addElement(P(text=name))
    row.addElement(cell)
table.addElement(row)
for time, value in zip(TIMES, VALUES):
    row = TableRow()
    row.addElement(TableCell(valuetype="date", datevalue=time.isoformat()))
    row.addElement(TableCell(valuetype="float", value=value))
    table.addElement(row)
doc.spreadsheet.addElement(table)
doc.save("open.ods")
